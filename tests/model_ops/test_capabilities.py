"""The capability that a request needs, and the answers that the fake engine invents for it."""

import json
import math
import re
from typing import Any

import pytest

from model_ops.client.capabilities import CONSTRAINT, LABELS, SPAN, TEXT, Capability, Request, capability_of
from model_ops.client.engine import Answer
from model_ops.client.fake_engine import FakeEngine


def row(number: int = 0, span: str | None = None, **sampling: Any) -> dict[str, Any]:
    texts = {"system": "", "prompt": "Why is it so?", "prefill": "", "span": span}
    return {"request_id": f"{number:064x}", "sampling": json.dumps(sampling), "stage": "any", **texts}


def faked(asked: dict[str, Any]) -> Answer:
    (answer,) = FakeEngine().answers(iter([asked]))
    return answer


@pytest.mark.parametrize(
    ("asked", "capability"),
    [
        (row(), TEXT),
        (row(regex="x"), CONSTRAINT),
        (row(span="so"), SPAN),
        (row(labels=["1"]), LABELS),
        (row(span="so", labels=[""]), LABELS),
    ],
    ids=["text", "constraint", "span", "labels", "labels after a span"],
)
def test_a_request_asks_for_one_thing(asked: dict[str, Any], capability: Capability) -> None:
    assert capability_of(Request.of(asked)) is capability


@pytest.mark.parametrize("low_high", [(1, 5), (0, 5), (1, 10), (0, 100)])
def test_fake_ratings_use_the_whole_scale(low_high: tuple[int, int]) -> None:
    numbers = range(low_high[0], low_high[1] + 1)
    regex = r"[^\n]{1,90}\nScore: (" + "|".join(map(str, numbers)) + ")"
    texts = [faked(row(number, regex=regex)).text or "" for number in range(2000)]
    assert all(re.fullmatch(regex, text) for text in texts)
    assert {int(text.rpartition(" ")[2]) for text in texts} == set(numbers)


def test_an_unsatisfiable_constraint_is_an_error() -> None:
    answer = faked(row(regex="zq"))
    assert (answer.status, "none fits" in str(answer.error)) == ("failed", True)


def test_fake_probabilities_are_valid() -> None:
    given = faked(row(labels=["1", "2", "3"])).label_logprobs or {}
    assert sum(map(math.exp, given.values())) == pytest.approx(0.9)
    answer = faked(row(span="three words here"))
    assert (answer.text, answer.span_tokens) == ("", 3)
    assert -9 <= (answer.span_logprob or 0) <= -6
