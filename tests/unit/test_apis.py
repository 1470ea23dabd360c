"""Requests to a chat API, and the reading of its replies."""

import json
import math
from typing import Any

import pytest

from model_ops.client.apis import AbsurdReplyError, ChatCompletions

API = ChatCompletions("judge-1", has_logprobs=True)
TEXT_ONLY = ChatCompletions("judge-1", has_logprobs=False)
LABELS: dict[str, Any] = {"labels": ["1", "2"], "max_tokens": 1}


def row(sampling: dict[str, Any], **fields: Any) -> dict[str, Any]:
    fixed = {"request_id": "r", "system": "", "prompt": "Which?", "prefill": "Answer: ", "span": None}
    return fixed | {"sampling": json.dumps(sampling)} | fields


def reply(text: str | None, finish: str = "stop", top: list[tuple[str, float]] | None = None) -> bytes:
    likeliest = [{"token": token, "logprob": value} for token, value in top or []]
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    logprobs = {"logprobs": {"content": [{"top_logprobs": likeliest}]}} if top else {}
    usage = {"prompt_tokens": 7, "completion_tokens": 1}
    return json.dumps({"choices": [choice | logprobs], "usage": usage}).encode()


def read(api: ChatCompletions, sampling: dict[str, Any], content: bytes) -> Any:
    return api.read(api.call(row(sampling)), content, "http://there/v1")


def test_a_question_becomes_messages_without_the_prefill() -> None:
    body = API.call(row(LABELS, system="Be fair.")).body
    assert body == {
        "model": "judge-1", "max_tokens": 1, "temperature": 0, "top_p": 1.0, "logprobs": True, "top_logprobs": 20,
        "messages": [{"role": "system", "content": "Be fair."}, {"role": "user", "content": "Which?"}],
    }  # fmt: skip
    written = TEXT_ONLY.call(row({"temperature": 0.7, "top_p": 0.9, "max_tokens": 5})).body
    assert written["messages"] == [{"role": "user", "content": "Which?"}]
    assert (written["temperature"], written["top_p"], written["max_tokens"]) == (0.7, 0.9, 5)
    assert "logprobs" not in written


@pytest.mark.parametrize(
    ("asked", "field"),
    [(row({"regex": "a"}), "structured_outputs"), (row({}, span="text"), "prompt_logprobs")],
)
def test_what_a_chat_api_cannot_do_is_refused(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"a chat API has no {field}; ask a model that vLLM serves"):
        API.call(asked)


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ([("2", -0.1), ("1", -2.5), ("x", -9.0)], {"1": -2.5, "2": -0.1}),
        ([(" 2", -0.1), ("2", -3.0), ("x", -5.0)], {"1": -5.0, "2": -0.1}),
        ([("x", -0.1), ("y", -9.0)], None),
    ],
    ids=["both", "one, the other as unlikely as the last", "none"],
)
def test_the_likeliest_tokens_weigh_the_labels(top: list[tuple[str, float]], expected: dict[str, float] | None) -> None:
    answer = read(API, LABELS, reply("2", "length", top))
    assert (answer.status, answer.label_logprobs) == ("ok", expected)
    assert (answer.n_prompt_tokens, answer.n_completion_tokens, answer.endpoint) == (7, 1, "http://there/v1")


@pytest.mark.parametrize(("text", "chosen"), [("2", "2"), (" 1.\n", "1"), ("Both", None), ("12", None)])
def test_without_log_probabilities_a_label_counts_by_its_text(text: str, chosen: str | None) -> None:
    found = read(TEXT_ONLY, LABELS, reply(text)).label_logprobs
    assert (found and max(found, key=found.__getitem__)) == chosen
    assert found is None or math.fsum(map(math.exp, found.values())) == pytest.approx(1)


@pytest.mark.parametrize(
    ("content", "status"),
    [(reply("Fine."), "ok"), (reply("Fine, but", "length"), "cut"), (reply(None), "empty")],
)
def test_written_answers(content: bytes, status: str) -> None:
    assert read(API, {"max_tokens": 9}, content).status == status


def test_a_withheld_answer_is_refused() -> None:
    answer = read(API, LABELS, reply(None, "content_filter"))
    assert (answer.status, answer.error) == ("refused", "the server's content filter withheld the answer")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "not a completion"),
        (b'{"choices": [{"text": "2"}]}', "KeyError"),
        (reply("2", "tool_calls"), "the answer has the finish reason 'tool_calls'"),
        (reply("2"), "no log-probabilities; if the API has none, set `logprobs = false` for this model"),
        (reply("2", top=[("2", 0.5)]), "a probability above 1"),
        (reply("2", top=[("2", math.nan)]), "NaN is not a JSON number"),
        (reply("2", top=[("1", -0.1), ("2", -0.1)]), "the 2 labels have a probability of 1.8"),
    ],
)
def test_a_malformed_reply_is_no_answer(content: bytes, fault: str) -> None:
    with pytest.raises(AbsurdReplyError, match=fault):
        read(API, LABELS, content)
