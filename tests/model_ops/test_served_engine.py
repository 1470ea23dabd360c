"""The client's answers when servers fail, against a loopback server with faults on demand."""

import gzip
import json
import math
import pickle
import threading
import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from model_ops.client.apis import Completions
from model_ops.client.engine import MISFIT
from model_ops.client.served_engine import ServedEngine
from model_ops.client.servers import Timings
from model_ops.text.chat import ChatFormat
from tests.model_ops.fake_server import RESET, Reply, completion, faulty, serving
from tests.tiny_model import save_tokenizer


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> ChatFormat:
    folder = tmp_path_factory.mktemp("chat")
    save_tokenizer(folder)
    return ChatFormat.load(folder)


QUICK = Timings(rest=0.1, backoff=0.01)
LIMITS: dict[str, Any] = {"window": 4, "timeout": 5, "patience": 0.1, "attempts": 3}


def engine(chat: ChatFormat, *endpoints: str, timings: Timings = QUICK, **options: Any) -> ServedEngine:
    api = Completions("m-1", chat, options.pop("max_model_len", 512))
    return ServedEngine(endpoints, api, **(LIMITS | options), timings=timings)


def request(number: int = 0, **fields: Any) -> dict[str, Any]:
    sampling = fields.pop("sampling", {"temperature": 0.7, "max_tokens": 9})
    plain = {"system": "", "prompt": f"Question {number}?", "prefill": "", "span": None}
    return {"request_id": f"{number:064x}", "sampling": json.dumps(sampling)} | plain | fields


def ask(chat: ChatFormat, script: Any, *requests: dict[str, Any], **options: Any) -> list[Any]:
    with serving(script) as endpoint:
        return list(engine(chat, endpoint, **options).answers(iter(requests)))


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (completion("Fine."), "ok"),
        (completion("Fine, but", "length"), "cut"),
        (completion("  "), "empty"),
        ((400, {}, {"error": "bad"}), "refused"),
        ((413, {}, {"error": "large"}), "refused"),
        ((422, {}, {"error": "odd"}), "refused"),
        ((401, {}, {"error": "who?"}), "failed"),
        ((404, {}, {"error": "no such model"}), "failed"),
        ((500, {}, {"error": "oops"}), "failed"),
        ((429, {"Retry-After": "0.1"}, {}), "failed"),
        ((200, {}, {"choices": []}), "failed"),
        ((200, {}, b"{cut JSON"), "failed"),
        ((200, {"Content-Length": "99"}, b'{"choices"'), "failed"),
        ((200, {}, b"\xff\xfe"), "failed"),
        ((200, {"Content-Type": "text/html"}, b"<html>"), "failed"),
        ((200, {}, []), "failed"),
        (completion(None), "failed"),
        (completion("Half an", "abort"), "failed"),
        ((200, {}, b'{"choices": ' + b"[" * 100_000), "failed"),
        (
            (200, {}, b'{"choices": [{"text": "x", "finish_reason": "stop"}], "usage": {"prompt_tokens": Infinity}}'),
            "failed",
        ),
        ((RESET, {}, None), "failed"),
    ],
    ids=[
        "ok",
        "cut",
        "empty",
        "400",
        "413",
        "422",
        "401",
        "404",
        "500",
        "429",
        "no choice",
        "cut json",
        "cut body",
        "no text",
        "html",
        "a list",
        "null",
        "aborted",
        "nested",
        "infinite",
        "reset",
    ],
)
def test_statuses(chat: ChatFormat, reply: Reply, status: str) -> None:
    (answer,) = ask(chat, lambda *_: reply, request())
    assert answer.status == status
    assert bool(answer.error) == (status in ("failed", "refused"))


def test_a_refused_request_may_be_answered_by_another_server(chat: ChatFormat) -> None:
    bad = (400, {}, {"error": "max_model_len is 16"})
    with serving(lambda *_: bad) as strict, serving(lambda *_: completion()) as able:
        found = list(engine(chat, strict, able).answers(map(request, range(20))))
    assert {(a.status, a.endpoint) for a in found} == {("ok", able)}
    with serving(lambda *_: bad) as one, serving(lambda *_: bad) as other:
        (answer,) = engine(chat, one, other).answers(iter([request()]))
    assert (answer.status, "max_model_len is 16" in answer.error) == ("refused", True)


def test_a_text_refused_by_the_template_fails_only_its_row(chat: ChatFormat) -> None:
    guard = "{% if 'Question 1' in messages[-1].content %}{{ raise_exception('not this') }}{% endif %}"
    strict = replace(chat, template=guard + chat.template)
    found = ask(strict, lambda *_: completion(), request(0), request(1))
    assert sorted(a.status for a in found) == ["ok", "refused"]


def test_server_errors_are_retried(chat: ChatFormat) -> None:
    (answer,) = ask(chat, lambda path, body, n: completion() if n == 2 else (503, {}, {}), request())
    assert (answer.status, answer.text) == ("ok", "Fine.")


@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_endless_reply_is_a_fault_of_the_server(chat: ChatFormat, status: int) -> None:
    endless = status, {}, b"x" * (1 << 20)
    replies = [endless, completion()]
    (answer,) = ask(chat, lambda path, body, n: replies[n], request(), max_reply_bytes=1 << 16)
    assert (answer.status, answer.text) == ("ok", "Fine.")
    (answer,) = ask(chat, lambda *_: endless, request(), max_reply_bytes=1 << 16)
    assert (answer.status, "the reply has more than 65,536 bytes" in answer.error) == ("failed", True)


def test_the_size_limit_applies_to_decompressed_replies(chat: ChatFormat) -> None:
    packed = 200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * (64 << 20))
    (answer,) = ask(chat, lambda *_: packed, request(), attempts=1, max_reply_bytes=1 << 20)
    assert (answer.status, "the reply has more than 1,048,576 bytes" in answer.error) == ("failed", True)


def test_an_engine_can_be_pickled(chat: ChatFormat) -> None:
    sent = engine(chat, "e", adapter="/models/m/adapter")
    assert pickle.loads(pickle.dumps(sent)) == sent


def test_an_unreachable_server_gives_failed_answers_with_the_reason(chat: ChatFormat) -> None:
    found = list(engine(chat, "http://127.0.0.1:9/v1", window=2).answers(map(request, range(9))))
    assert [a.status for a in found] == ["failed"] * 9
    assert any(
        a.error.startswith(
            "no server has answered for 0.1 s; last error: ClientConnectorError from http://127.0.0.1:9/v1"
        )
        for a in found
    )


def test_an_answer_that_breaks_its_constraint_is_rejected(chat: ChatFormat) -> None:
    asked = request(sampling={"regex": "[^\n]+\nScore: [1-5]", "max_tokens": 9})
    replies = [completion("Well.\nScore: 6"), completion("Well.\nScore: 5")]
    (answer,) = ask(chat, lambda path, body, n: replies[n], asked)
    assert answer.text == "Well.\nScore: 5"
    (answer,) = ask(chat, lambda *_: replies[0], asked)
    assert (answer.status, "breaks its constraint" in answer.error) == ("failed", True)


def test_log_probabilities_of_other_tokens_are_rejected(chat: ChatFormat) -> None:
    short = completion("x", "length", prompt_logprobs=[None, {"1": {"logprob": -1.0}}])
    (answer,) = ask(chat, lambda *_: short, request(span="the answer", sampling={"max_tokens": 1}))
    assert (answer.status, "of 2 tokens, not" in answer.error) == ("failed", True)


REASONS = {
    "numbers": (
        (200, {}, b'{"choices": [{"text": "x", "finish_reason": "stop"}], "usage": {"prompt_tokens": NaN}}'),
        "NaN is not a JSON number",
    ),
    "a page": (
        (200, {"Content-Type": "text/html"}, b"<html>Please log in</html>"),
        "not JSON but '<html>Please log in",
    ),
    "an error": ((200, {}, {"error": {"message": "no GPU is free"}}), "no GPU is free"),
    "no choice": ((200, {}, {"choices": []}), "not a completion but"),
    "cut off": ((200, {"Content-Length": "99"}, b'{"choices"'), "ClientPayloadError"),
    "too long": ((200, {}, b" " * (1 << 18)), "more than 131,072 bytes"),
    "HTTP 500": ((500, {}, {"error": "NaN in the logits"}), "NaN in the logits"),
}


@pytest.mark.parametrize("kind", REASONS)
def test_a_server_with_only_malformed_replies_uses_up_the_attempts_of_a_few_requests(
    chat: ChatFormat, kind: str
) -> None:
    """The client's patience is for silent servers; the other requests are still answered."""
    reply, reason = REASONS[kind]

    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        return completion() if len(body["prompt"]) > len(short) else reply

    short = engine_call(chat, request())
    asked = [
        request(n, prompt="Question 0?" if n % 10 == 0 else "A longer question, of more tokens?") for n in range(80)
    ]
    began = time.monotonic()
    found = ask(
        chat, script, *asked, patience=300, attempts=4, max_reply_bytes=1 << 17, timings=replace(QUICK, rest=0.2)
    )
    assert time.monotonic() - began < 20
    failed = [str(answer.error) for answer in found if answer.status == "failed"]
    assert len(failed) == 8
    assert all(error.startswith("4 attempts failed; last error: ") and reason in error for error in failed)
    assert all(answer.status == "ok" for answer in found if not answer.error)


def test_requests_move_from_a_server_with_malformed_replies_to_another(chat: ChatFormat) -> None:
    with serving(lambda *_: (200, {}, {})) as absurd, serving(lambda *_: completion()) as sound:
        found = list(engine(chat, absurd, sound, patience=300, window=2).answers(map(request, range(100))))
    assert {(answer.status, answer.endpoint) for answer in found} == {("ok", sound)}


def test_a_server_does_not_rest_if_no_other_can_answer(chat: ChatFormat) -> None:
    """A server rests only if another one can answer; here the other one is dead."""
    began = time.monotonic()
    with serving(lambda *_: (200, {}, {})) as absurd:
        dead = "http://127.0.0.1:9/v1"
        timings = replace(QUICK, rest=30)
        found = list(engine(chat, absurd, dead, patience=300, timings=timings).answers(map(request, range(20))))
    assert {answer.status for answer in found} == {"failed"}
    assert sum("a malformed reply from" in str(answer.error) for answer in found) > 10
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("status", "headers", "advice"),
    [
        (401, {}, "set HUMPBACK_API_KEY"),
        (403, {}, "set HUMPBACK_API_KEY"),
        (404, {}, "names servers of this model"),
        (302, {"Location": "http://127.0.0.1:9/login"}, "redirects are not followed"),
        (308, {"Location": "/v2/completions"}, "redirects are not followed"),
    ],
)
def test_configuration_errors_stop_sending_at_once(
    chat: ChatFormat, status: int, headers: dict[str, str], advice: str
) -> None:
    """Earlier answers are kept, and most requests are not sent."""
    seen = []

    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        seen.append(number)
        return completion() if number < 10 else (status, headers, {"error": "not here"})

    found = ask(chat, script, *map(request, range(100)), patience=300)
    assert sum(answer.status == "ok" for answer in found) == 10
    failed = [str(answer.error) for answer in found if answer.status == "failed"]
    assert len(found) == 10 + len(failed)
    assert 1 <= len(failed) <= 8
    assert all(error.startswith(MISFIT) and f"HTTP {status}" in error and advice in error for error in failed)
    assert len(seen) < 20


def test_requests_avoid_a_server_with_other_settings(chat: ChatFormat) -> None:
    seen: list[int] = []

    def strict(path: str, body: Any, number: int) -> Reply:
        seen.append(number)
        return 401, {}, {"error": "who?"}

    with serving(strict) as one, serving(lambda *_: completion()) as other:
        found = list(engine(chat, one, other).answers(map(request, range(50))))
    assert {(answer.status, answer.endpoint) for answer in found} == {("ok", other)}
    assert len(seen) <= LIMITS["window"]


def test_an_adapter_that_does_not_load_is_a_configuration_error(chat: ChatFormat) -> None:
    (answer,) = ask(chat, lambda *_: (404, {}, {"error": "no such model"}), request(), adapter="/models/m/adapter")
    assert (answer.status, str(answer.error).startswith(MISFIT)) == ("failed", True)


@pytest.mark.parametrize("status", [429, 503])
def test_busy_replies_use_no_attempt(chat: ChatFormat, status: int) -> None:
    def script(path: str, body: Any, number: int) -> Reply:
        return completion() if number >= 12 else (status, {"Retry-After": "0.05"}, {})

    (answer,) = ask(chat, script, request(), attempts=2, patience=60)
    assert answer.status == "ok"


def test_a_request_that_always_gets_busy_replies_fails_after_the_patience(chat: ChatFormat) -> None:
    """The server answers all other requests, and so is never silent."""

    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        time.sleep(0.02)
        return completion() if len(body["prompt"]) > len(short) else (504, {}, {"error": "the gateway waits no more"})

    short = engine_call(chat, request())
    asked = [request(n, prompt="A longer question, of more tokens?") for n in range(1, 150)]
    began = time.monotonic()
    found = ask(chat, script, request(), *asked, patience=0.5, window=2)
    assert time.monotonic() - began < 20
    assert [str(answer.error)[:25] for answer in found if answer.status != "ok"] == ["told to wait for 0.5 s; l"]


@pytest.mark.parametrize("header", ["nan", "-5", "soon", "Fri, 31 Dec 2999 23:59:59 GMT"])
def test_an_invalid_retry_after_is_ignored(chat: ChatFormat, header: str) -> None:
    def script(path: str, body: Any, number: int) -> Reply:
        return completion() if number else (503, {"Retry-After": header}, {})

    (answer,) = ask(chat, script, request(), patience=30)
    assert answer.status == "ok"


def test_a_hanging_server_uses_up_attempts(chat: ChatFormat) -> None:
    hangs = threading.Event()

    def script(*_: Any) -> Reply:
        hangs.wait(20)
        return RESET, {}, None

    with serving(script) as endpoint:
        began = time.monotonic()
        (answer,) = engine(chat, endpoint, timeout=0.3, patience=300).answers(iter([request()]))
        hangs.set()
    assert (answer.status, "no answer within 0 s" in str(answer.error)) == ("failed", True)
    assert time.monotonic() - began < 10


LABELS = {"prefill": "Score: ", "sampling": {"labels": ["1", "2"], "max_tokens": 1}}


def labelled(values: list[Any], places: int = 1) -> Any:
    """Return the script of a server that gives these values for the labels, at `places` positions."""

    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        said = dict(zip([f"token_id:{token}" for token in body["logprob_token_ids"]], values, strict=False))
        return completion("1", "length", logprobs={"top_logprobs": [said] * places})

    return script


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ([math.nan, -1.0], "NaN is not a JSON number"),
        ([-math.inf, -1.0], "-Infinity is not a JSON number"),
        ([0.5, -1.0], "of the label '1' is 0.5: a probability above 1"),
        (["-0.5", -1.0], "of the label '1' is \"'-0.5'\", which is not a number"),
        ([None, -1.0], "which is not a number"),
        ([True, -1.0], "which is not a number"),
        ([-9999.0, -9999.0], "the 2 labels have a probability of 0 together"),
        ([-800, -746], "the 2 labels have a probability of 0 together"),
        ([-0.01, -0.01], "the 2 labels have a probability of 1.98"),
        ([-(10**400), -1.0], "OverflowError"),
        ([-1.0], "no log-probability of token_id:"),
    ],
    ids=[
        "NaN",
        "infinite",
        "above 1",
        "text",
        "null",
        "true",
        "none of them",
        "underflow",
        "too much",
        "huge",
        "short",
    ],
)
def test_invalid_probabilities_are_requested_again(chat: ChatFormat, values: list[Any], fault: str) -> None:
    absurd, sound = labelled(values), labelled([-0.5, -1.5])
    (answer,) = ask(chat, lambda path, body, n: (sound if n == 2 else absurd)(path, body, n), request(**LABELS))
    assert (answer.status, answer.label_logprobs) == ("ok", {"1": -0.5, "2": -1.5})
    (answer,) = ask(chat, absurd, request(**LABELS))
    assert (answer.status, answer.label_logprobs) == ("failed", None)
    assert str(answer.error).startswith("3 attempts failed; last error: a malformed reply from http://127.0.0.1:")
    assert fault in str(answer.error)


def test_impossible_labels_and_rounding_are_accepted(chat: ChatFormat) -> None:
    (answer,) = ask(chat, labelled([-9999.0, 1e-6]), request(**LABELS))
    assert (answer.status, answer.label_logprobs) == ("ok", {"1": -9999.0, "2": 0.0})


def test_labels_at_two_positions_are_rejected(chat: ChatFormat) -> None:
    (answer,) = ask(chat, labelled([-0.5, -1.5], places=2), request(**LABELS))
    assert (answer.status, "at 2 positions, not at one" in str(answer.error)) == ("failed", True)


def spanned(**entry: Any) -> Any:
    """Return the script of a server that gives this entry for each prompt token but the first, which has none."""

    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        sound = {"logprob": -0.5, "rank": 1, "decoded_token": "x"}
        given = [None, *({str(token): sound | entry} for token in body["prompt"][1:])]
        return completion("x", "length", prompt_logprobs=given)

    return script


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"logprob": math.nan}, "NaN is not a JSON number"),
        ({"logprob": 2.5}, "a probability above 1"),
        ({"logprob": "-1"}, "which is not a number"),
        ({"logprob": -9999.0}, "has no probability"),
        ({"rank": 0}, "has the rank 0"),
        ({"rank": -4}, "has the rank -4"),
        ({"rank": 1.5}, "has the rank 1.5"),
    ],
    ids=["NaN", "above 1", "text", "impossible", "rank 0", "negative rank", "half a rank"],
)
def test_a_span_with_impossible_tokens_is_rejected(chat: ChatFormat, entry: dict[str, Any], fault: str) -> None:
    asked = request(span="the answer", sampling={"max_tokens": 1})
    (answer,) = ask(chat, spanned(**entry), asked)
    assert (answer.status, answer.span_logprob, fault in str(answer.error)) == ("failed", None, True)
    (answer,) = ask(chat, spanned(rank=None), asked)
    assert (answer.status, answer.span_logprob) == ("ok", -0.5 * (answer.span_tokens or 0))


def test_a_span_is_read_by_its_own_tokens(chat: ChatFormat) -> None:
    """A server may also list the most likely token of each position, before the token of the prompt."""

    def script(path: str, body: dict[str, Any], number: int, likeliest: str = "7") -> Reply:
        own = [{likeliest: {"logprob": -0.1}, str(token): {"logprob": -2.0}} for token in body["prompt"][1:]]
        return completion("x", "length", prompt_logprobs=[None, *own])

    asked = request(span="the answer", sampling={"max_tokens": 1})
    (answer,) = ask(chat, script, asked)
    assert answer.span_logprob == -2.0 * (answer.span_tokens or 0)
    others = completion("x", "length", prompt_logprobs=[{"7": {"logprob": -1.0}}] * len(engine_call(chat, asked)))
    (answer,) = ask(chat, lambda *_: others, asked)
    assert (answer.status, "no log-probability of the prompt's token" in str(answer.error)) == ("failed", True)


def engine_call(chat: ChatFormat, asked: dict[str, Any]) -> list[int]:
    return engine(chat, "e").api.call(asked).tokens.prompt


@pytest.mark.parametrize("count", [-1, 2**31, 10**30, "7", 7.5, True, None])
def test_invalid_token_counts_are_rejected(chat: ChatFormat, count: Any) -> None:
    for name in ("prompt_tokens", "completion_tokens"):
        _, _, said = completion()
        reply = 200, {}, said | {"usage": {"prompt_tokens": 7, "completion_tokens": 2} | {name: count}}
        (answer,) = ask(chat, lambda *_, reply=reply: reply, request())
        assert (answer.status, f"{name} is" in str(answer.error)) == ("failed", True)


@pytest.mark.parametrize("text", [7, ["x"], {"a": 1}, None, json.loads('"\\ud800"')])
@pytest.mark.parametrize("fields", [{}, LABELS], ids=["text", "labels"])
def test_an_unstorable_text_is_rejected(chat: ChatFormat, text: Any, fields: dict[str, Any]) -> None:
    (answer,) = ask(chat, lambda *_: completion(text), request(**fields))
    assert answer.status == "failed"
    str(answer.error).encode()


@pytest.mark.parametrize("nth", [2, 30], ids=["one of the first", "a later one"])
def test_hanging_requests_are_resent_before_the_timeout(chat: ChatFormat, nth: int) -> None:
    timings = replace(QUICK, hung=0.2, look=0.1)
    hangs = threading.Event()

    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        if number == nth:
            hangs.wait(20)
        return completion()

    with serving(script) as endpoint:
        began = time.monotonic()
        found = list(engine(chat, endpoint, timeout=20, timings=timings).answers(map(request, range(40))))
        hangs.set()
    assert [a.status for a in found] == ["ok"] * 40
    assert time.monotonic() - began < 10


def test_a_server_that_comes_back_is_used_again(chat: ChatFormat) -> None:
    with serving(lambda *_: completion()) as gone:
        port = int(gone.split(":")[2].split("/")[0])

    def slowly(*_: Any) -> Reply:
        time.sleep(0.02)
        return completion()

    with serving(slowly) as alive:
        answers = engine(chat, gone, alive, window=2).answers(map(request, range(100)))
        found = [next(answers) for _ in range(10)]
        with serving(slowly, port) as back:
            found += list(answers)
    assert back == gone
    assert {a.status for a in found} == {"ok"}
    assert {a.endpoint for a in found[:10]} == {alive}
    assert sum(a.endpoint == back for a in found) > 20, "and it takes its share"


def test_an_outage_of_all_servers_loses_no_row(chat: ChatFormat) -> None:
    dark_until = time.monotonic() + 1.0
    seen = []

    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        seen.append(number)
        return (503, {}, {}) if time.monotonic() < dark_until else completion()

    with serving(script) as endpoint:
        found = list(engine(chat, endpoint, window=16, patience=30).answers(map(request, range(60))))
    assert {a.status for a in found} == {"ok"}
    assert len(seen) < 60 + 16 + 20, "while it is dark, one request at a time finds that out"


def test_every_kind_of_fault_at_once_loses_no_row(chat: ChatFormat) -> None:
    options: dict[str, Any] = {"window": 16, "patience": 30, "timings": replace(QUICK, hung=0.3)}
    with serving(faulty(lambda body: completion(str(len(body["prompt"]))), share=0.1, hangs_for=2)) as endpoint:
        found = list(engine(chat, endpoint, **options).answers(map(request, range(600))))
    assert len({a.request_id for a in found}) == 600
    assert {a.status for a in found} <= {"ok", "empty", "refused", "failed"}
    assert sum(a.status == "ok" for a in found) >= 570, "the others are empty texts and refusals by the proxy"
    assert all(a.error for a in found if a.status in ("refused", "failed"))


def test_requests_move_from_a_dead_server_to_a_live_one(chat: ChatFormat) -> None:
    with serving(lambda *_: completion()) as alive:
        found = list(engine(chat, "http://127.0.0.1:9/v1", alive).answers(map(request, range(20))))
    assert {a.status for a in found} == {"ok"}
    assert {a.endpoint for a in found} == {alive}


def test_a_failed_request_goes_to_another_server(chat: ChatFormat) -> None:
    """The failing server gets the first request, is the least loaded, and never fails often enough in a row to rest."""
    asked: list[str] = []

    def script(name: str, path: str, body: Any, number: int) -> Reply:
        asked.append(name)
        if name != asked[0]:
            return completion("from the good one")
        return (500, {}, {}) if number % 2 == 0 else completion("from the bad one")

    with serving(partial(script, "one")) as one, serving(partial(script, "other")) as other:
        found = list(engine(chat, one, other, attempts=2, window=1).answers(map(request, range(20))))
    assert {answer.text for answer in found} == {"from the good one", "from the bad one"}
    assert len(found) == 20


def test_a_lost_adapter_is_loaded_again(chat: ChatFormat) -> None:
    loaded: list[Any] = []

    def forgetful(path: str, body: Any, number: int) -> Reply:
        if path == "/v1/load_lora_adapter":
            loaded.append(body)
            return 200, {}, {}
        return completion("Yes") if loaded else (404, {}, {"error": "no such model"})

    with serving(forgetful) as endpoint:
        (answer,) = engine(chat, endpoint, adapter="/models/m/adapter").answers(iter([request()]))
    assert answer.status == "ok"
    assert loaded == [{"lora_name": "m-1", "lora_path": "/models/m/adapter"}]


def test_every_request_is_answered_once_with_a_bounded_window(chat: ChatFormat) -> None:
    taken = 0

    def requests() -> Any:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield request(number)

    with serving(lambda *_: completion()) as endpoint:
        answers = engine(chat, endpoint, window=4).answers(requests())
        first = next(answers)
        assert taken <= 8, "requests are taken as there is room for them"
        rest = list(answers)
    assert len({first.request_id, *(a.request_id for a in rest)}) == 50


def test_a_prompt_that_leaves_no_room_is_never_sent(chat: ChatFormat) -> None:
    (answer,) = ask(chat, lambda *_: completion(), request(prompt="word " * 400), max_model_len=64)
    assert answer.status == "refused"
    assert "too long" in answer.error


def test_max_tokens_is_clamped_to_what_fits(chat: ChatFormat) -> None:
    call = engine(chat, "e", max_model_len=100).api.call(request(sampling={"max_tokens": 500}))
    assert call.body["max_tokens"] == 100 - call.tokens.boundary


def test_every_request_names_all_sampling_parameters(chat: ChatFormat) -> None:
    """The end token and generation_config.json of a base model are not those that it was finetuned with."""
    body = engine(chat, "e").api.call(request()).body
    assert body["stop_token_ids"] == [chat.end_id]
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (0, 0, 1)
    assert (body["presence_penalty"], body["frequency_penalty"]) == (0, 0)


def test_the_end_label_is_requested_at_the_trained_position(chat: ChatFormat) -> None:
    asked = request(span="the answer", sampling={"labels": [""], "max_tokens": 1})

    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        assert body["prompt"] == chat.prompt_ids("", asked["prompt"]) + chat.text_ids("the answer")
        assert body["logprob_token_ids"] == [chat.end_id]
        assert "prompt_logprobs" not in body
        return completion("x", "length", logprobs={"top_logprobs": [{f"token_id:{chat.end_id}": -0.25}]})

    (answer,) = ask(chat, script, asked)
    assert (answer.status, answer.label_logprobs) == ("ok", {"": -0.25})


def test_servers_that_stay_busy_fail_after_the_patience(chat: ChatFormat) -> None:
    """Each reply asks for a short wait, so that a server always seems about to be back."""
    found = []
    with serving(lambda *_: (503, {"Retry-After": "0.2"}, {})) as endpoint:
        found += engine(chat, endpoint, patience=1).answers(map(request, range(4)))
    assert {a.status for a in found} == {"failed"}
    assert all("no server has answered for 1 s" in str(a.error) for a in found)


def test_a_span_is_summed_from_its_own_first_token(chat: ChatFormat) -> None:
    asked = request(span="the answer", sampling={"max_tokens": 1})
    boundary = engine(chat, "e").api.call(asked).tokens.boundary
    n_span = len(chat.text_ids("the answer"))

    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        assert body["prompt_logprobs"] == 0
        tokens = [None] + [
            {str(i): {"logprob": -100.0 if at < boundary else -0.5}} for at, i in enumerate(body["prompt"][1:], 1)
        ]
        return completion("x", "length", prompt_logprobs=tokens)

    (answer,) = ask(chat, script, asked)
    assert (answer.status, answer.span_tokens, answer.span_logprob) == ("ok", n_span, -0.5 * n_span)


def test_labels_are_asked_for_by_token_and_come_back_by_name(chat: ChatFormat) -> None:
    def script(path: str, body: dict[str, Any], number: int) -> Reply:
        one, two = body["logprob_token_ids"]
        return completion(
            "2", "length", logprobs={"top_logprobs": [{f"token_id:{one}": -2.0, f"token_id:{two}": -0.1}]}
        )

    (answer,) = ask(chat, script, request(prefill="Score: ", sampling={"labels": ["1", "2"], "max_tokens": 1}))
    assert answer.label_logprobs == {"1": -2.0, "2": -0.1}


def test_a_label_of_several_tokens_is_refused(chat: ChatFormat) -> None:
    (answer,) = ask(chat, lambda *_: completion(), request(sampling={"labels": ["quite unheard of"]}))
    assert answer.status == "refused"


@pytest.mark.parametrize(("shown", "status"), [("s3cret", "ok"), ("other", "failed"), (None, "failed")])
def test_the_key_goes_to_the_server_and_nowhere_else(chat: ChatFormat, shown: str | None, status: str) -> None:
    with serving(lambda *_: completion(), key="s3cret") as endpoint:
        asking = replace(engine(chat, endpoint), key=shown)
        (answer,) = asking.answers(iter([request()]))
    assert answer.status == status
    assert "s3cret" not in repr((answer, asking))
