"""A server that ignores a requested feature is refused by name, before the first request."""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_ops.client.apis import ChatCompletions
from model_ops.client.endpoint import Endpoint, EndpointError
from model_ops.client.handshake import HandshakeError, Patience, probe, probe_chat, require_echo, require_parity
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import ServerError, VllmServer
from model_ops.text.chat import ChatFormat
from tests.model_ops.fake_server import RESET, Reply, completion, serving
from tests.tiny_model import save_tokenizer


@pytest.fixture
def chat(tmp_path: Path) -> ChatFormat:
    save_tokenizer(tmp_path)
    return ChatFormat.load(tmp_path)


def server(**faults: bool) -> Any:
    """Return a script for a sound server without the features that `faults` names."""

    def script(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        if path == "/v1/models":
            return 200, {}, {"data": [{"id": "m-1", "max_model_len": 512}]}
        assert body is not None
        choice: dict[str, Any] = {}
        if "logprob_token_ids" in body and "logprobs" not in faults:
            choice["logprobs"] = {"top_logprobs": [{f"token_id:{i}": -1.0 for i in body["logprob_token_ids"]}]}
        if "prompt_logprobs" in body and "spans" not in faults:
            choice["prompt_logprobs"] = [None, *({str(i): {"logprob": -1.0}} for i in body["prompt"][1:])]
            if "span values" in faults:
                choice["prompt_logprobs"] = [None] * len(body["prompt"])
        if "structured_outputs" in body and "rambles" in faults:
            return completion("Yes, I would say that it", "length")
        return completion("zq" if "structured_outputs" in body and "regex" not in faults else "Yes", **choice)

    return script


def test_a_sound_server_reports_its_context_length(chat: ChatFormat) -> None:
    with serving(server()) as endpoint:
        assert probe(Endpoint(endpoint), "m-1", chat) == 512


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("regex", "ignores structured_outputs: it wrote 'Yes'"),
        ("rambles", "ignores structured_outputs: it wrote 'Yes, I would"),
        ("logprobs", "ignores logprob_token_ids: no log-probability of token_id:"),
        ("spans", "ignores prompt_logprobs: log-probabilities of 0 tokens"),
        ("span values", "ignores prompt_logprobs: "),
    ],
)
def test_an_ignored_field_is_named(chat: ChatFormat, fault: str, message: str) -> None:
    with serving(server(**{fault: True})) as endpoint, pytest.raises(HandshakeError, match=message) as caught:
        probe(Endpoint(endpoint), "m-1", chat)
    assert endpoint in str(caught.value)


@pytest.mark.parametrize(
    "logprobs", [None, {"token_logprobs": [None, -1.0]}, {"token_logprobs": [None] * 99}], ids=["none", "few", "null"]
)
def test_a_server_without_the_log_probabilities_of_a_prompt_is_named(chat: ChatFormat, logprobs: Any) -> None:
    def script(path: str, body: Any, number: int) -> Reply:
        assert (body["echo"], body["logprobs"], body["max_tokens"]) == (True, 1, 1)
        given = {"token_logprobs": [None, *[-1.0] * len(body["prompt"])]} if is_sound else logprobs
        return completion("Yes", logprobs=given)

    with serving(script) as endpoint:
        is_sound = True
        require_echo(Endpoint(endpoint), "m-1", chat)
        is_sound = False
        with pytest.raises(HandshakeError, match=rf"{endpoint} returns no log-probabilities of a prompt's tokens"):
            require_echo(Endpoint(endpoint), "m-1", chat)


def test_an_unserved_model_error_lists_the_served_ones(chat: ChatFormat) -> None:
    with serving(server()) as endpoint, pytest.raises(HandshakeError, match="does not serve m-2; it serves m-1"):
        probe(Endpoint(endpoint), "m-2", chat)


def test_no_server(chat: ChatFormat) -> None:
    with pytest.raises(EndpointError, match=r"http://127.0.0.1:9/v1 does not answer .*serving.endpoints"):
        probe(Endpoint("http://127.0.0.1:9/v1"), "m-1", chat)


@pytest.mark.parametrize("said", ["fine", [], {"choices": []}, {"choices": [7]}])
def test_a_server_with_malformed_replies_is_named(chat: ChatFormat, said: Any) -> None:
    def script(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        return server()(path, body, number) if path == "/v1/models" else (200, {}, said)

    with serving(script) as endpoint, pytest.raises(HandshakeError, match=f"{endpoint} ignores"):
        probe(Endpoint(endpoint), "m-1", chat)


def after(n: int, *faults: Reply) -> Any:
    """Return the script of a sound server whose first `n` replies are these faults, in turn."""
    return lambda path, body, number: faults[number % len(faults)] if number < n else server()(path, body, number)


def asked_of(script: Any, chat: ChatFormat, seconds: float = 60, attempts: int = 4) -> tuple[int, list[float]]:
    """Return the result of the handshake with a server, and its pauses in seconds."""
    paused: list[float] = []
    with serving(script) as endpoint:
        patience = Patience(seconds, attempts, paused.append)
        return patience.wait_for(lambda: probe(Endpoint(endpoint), "m-1", chat)), paused


@pytest.mark.parametrize(
    "faults",
    [
        [(429, {"Retry-After": "7"}, {})],
        [(503, {}, {})],
        [(RESET, {}, None)],
        [(429, {}, {}), (RESET, {}, None), (504, {}, {}), (502, {}, b"<html>")],
    ],
    ids=["429", "503", "reset", "all of them"],
)
def test_a_busy_server_is_waited_for(chat: ChatFormat, faults: list[Reply]) -> None:
    assert asked_of(after(9, *faults), chat)[0] == 512


def test_retry_after_is_respected(chat: ChatFormat) -> None:
    assert asked_of(after(2, (429, {"Retry-After": "7"}, {})), chat) == (512, [7.0, 7.0])


@pytest.mark.parametrize(
    "fault", [(200, {}, b"<html>"), (200, {}, {"data": 7}), (500, {}, {}), (200, {}, {"error": "no GPU"})]
)
def test_a_malformed_reply_uses_one_attempt(chat: ChatFormat, fault: Reply) -> None:
    assert asked_of(after(3, fault), chat)[0] == 512
    with pytest.raises(EndpointError):
        asked_of(after(4, fault), chat)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_permanent_errors_are_not_retried(chat: ChatFormat, status: int) -> None:
    seen = []

    def script(path: str, body: Any, number: int) -> Reply:
        seen.append(number)
        return status, {}, {}

    with pytest.raises(EndpointError, match=f"HTTP {status}"):
        asked_of(script, chat)
    assert len(seen) == 1


def test_retries_end_after_the_patience(chat: ChatFormat) -> None:
    paused: list[float] = []
    patience = Patience(20, 4, paused.append)
    with pytest.raises(EndpointError, match="does not answer"):
        patience.wait_for(lambda: probe(Endpoint("http://127.0.0.1:9/v1"), "m-1", chat))
    assert 20 <= sum(paused) < 26
    with pytest.raises(EndpointError):
        replace(patience, seconds=0).wait_for(lambda: probe(Endpoint("http://127.0.0.1:9/v1"), "m-1", chat))
    assert sum(paused) < 26


@pytest.mark.parametrize("logprob", [math.nan, 0.5, -9999.0, "-1.0"])
def test_impossible_numbers_are_named(chat: ChatFormat, logprob: Any) -> None:
    def script(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        if body and "logprob_token_ids" in body:
            said = {f"token_id:{token}": logprob for token in body["logprob_token_ids"]}
            return completion("Yes", "length", logprobs={"top_logprobs": [said]})
        return server()(path, body, number)

    with serving(script) as endpoint, pytest.raises(HandshakeError, match=f"{endpoint} ignores logprob_token_ids: "):
        probe(Endpoint(endpoint), "m-1", chat)


REFERENCE = [{"prompt": [1, 5], "tokens": [7, 8]}, {"prompt": [1, 6], "tokens": [9]}]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({(1, 5): [7, 8], (1, 6): [9]}, None),
        (
            {(1, 5): [7, 8], (1, 6): [3]},
            r"m-1 otherwise than its training did, at 2 of 2 held-out prompts: it wrote 'Yes'",
        ),
        ({(1, 5): [7], (1, 6): [9]}, r"at 1 of 2 held-out prompts: it wrote 'Yes', tokens \[7\] instead of \[7, 8\]"),
        ({}, r"tokens None instead of \[7, 8\]; it may ignore the adapter"),
    ],
)
def test_a_server_must_repeat_the_answers_of_the_training(answers: dict[Any, list[int]], message: str | None) -> None:
    def script(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        assert body is not None
        assert (body["temperature"], body["ignore_eos"]) == (0, True)
        tokens = answers.get(tuple(body["prompt"]))
        return completion("Yes", "length", **({"token_ids": tokens} if tokens else {}))

    with serving(script) as url, pytest.raises(HandshakeError, match=message) if message else nullcontext():
        require_parity(Endpoint(url), "m-1", REFERENCE)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with serving(server()) as endpoint:
        yield int(endpoint.split(":")[2].split("/")[0])


def test_a_taken_port_is_reported_before_the_start(taken_port: int, tmp_path: Path) -> None:
    settings = ServerSettings(port=taken_port, max_num_seqs=1)
    with pytest.raises(ServerError, match=f"port {taken_port} on 127.0.0.1 is taken.*serving.port"):
        VllmServer(str(tmp_path), "m-1", settings, tmp_path / "log").start()


class EndingServer(VllmServer):
    def command(self) -> list[str]:
        return ["/bin/sh", "-c", "echo 'ValueError: no such model'; exit 1"]


def test_a_server_that_ends_at_start_shows_why(tmp_path: Path) -> None:
    settings = ServerSettings(port=18431, max_num_seqs=1, start_timeout=120)
    server = EndingServer(str(tmp_path / "nothing"), "m-1", settings, tmp_path / "log")
    with pytest.raises(ServerError, match=r"ended at start; its log .* ends: ValueError: no such model"):
        server.start()


@pytest.mark.parametrize("has_logprobs", [True, False])
def test_a_chat_api_without_the_log_probabilities_that_are_read_is_refused(has_logprobs: bool) -> None:
    choice = {"message": {"content": "2"}, "finish_reason": "stop"}
    reply: Reply = (200, {}, {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 1}})
    fault = r"/v1/chat/completions asked for judge: no log-probabilities; .* set `logprobs = false` for this model"
    refused = pytest.raises(HandshakeError, match=fault) if has_logprobs else nullcontext()
    with serving(lambda path, body, number: reply) as url, refused:
        probe_chat(Endpoint(url), ChatCompletions("judge", has_logprobs))
