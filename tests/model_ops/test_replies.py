"""The parsing of servers' replies, and the limits of the numbers in them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_ops.client.replies import (
    ABSURD,
    LONGEST_WAIT,
    MOST_TOKENS,
    Meaning,
    choice_of,
    json_of,
    log_probability,
    meaning,
    require_probabilities,
    seconds_to_wait,
    token_count,
    without_key,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
def test_a_log_probability_is_a_number_up_to_0_or_nothing(value: Any) -> None:
    try:
        found = log_probability(value, "it")
    except ABSURD:
        return
    assert type(value) in (int, float)
    assert math.isfinite(found)
    assert found <= 0
    assert found == min(value, 0)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 0.1, 3, "-1.0", None, True, [], {}, -(10**400), 10**400, "nan"]
)
def test_invalid_log_probabilities(value: Any) -> None:
    with pytest.raises(ABSURD):
        log_probability(value, "it")


def test_a_log_probability_slightly_above_0_is_rounding() -> None:
    assert log_probability(2e-7, "it") == log_probability(0, "it") == 0.0
    assert log_probability(-9999, "it") == -9999.0


@given(ANYTHING)
def test_a_count_fits_the_ledger(value: Any) -> None:
    try:
        assert 0 <= token_count(value, "n") <= MOST_TOKENS
    except ValueError:
        assert type(value) is not int or not 0 <= value <= MOST_TOKENS


@given(st.lists(st.floats(max_value=0, allow_nan=False, allow_infinity=False), min_size=1, max_size=10))
def test_label_probabilities_sum_to_at_most_1(logprobs: list[float]) -> None:
    mass = sum(math.exp(value) for value in logprobs)
    labels = {str(n): value for n, value in enumerate(logprobs)}
    if 0 < mass <= 1:
        require_probabilities(labels)
    elif mass == 0 or mass > 1.06:
        with pytest.raises(ValueError, match="together"):
            require_probabilities(labels)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "{", "", "<html>", "\ufeff{}"])
def test_invalid_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"not (a )?JSON"):
        json_of(text)


@given(ANYTHING)
def test_a_completion_has_a_storable_text(reply: Any) -> None:
    for each in (reply, {"choices": reply}, {"choices": [reply]}, {"choices": [{"text": reply}]}):
        try:
            choice = choice_of(each)
        except ABSURD:
            continue
        assert choice["text"].encode().decode() == choice["text"]


@pytest.mark.parametrize(
    "reply",
    [
        {"error": {"message": "overloaded"}},
        {"error": "no", "choices": [{"text": "x"}]},
        {"choices": []},
        {"choices": [{"text": "x"}, {"text": "y"}]},
        {"choices": [{"text": json.loads('"\\ud800"')}]},
        {"choices": {"0": {"text": "x"}}},
    ],
    ids=["error", "error beside", "none", "two", "half a character", "no list"],
)
def test_invalid_completions(reply: Any) -> None:
    with pytest.raises(ValueError, match=r"not a completion but|surrogates not allowed"):
        choice_of(reply)


@pytest.mark.parametrize(
    ("statuses", "means"),
    [
        ((200, 201, 204), Meaning.ANSWER),
        ((301, 302, 307, 308, 401, 403, 404), Meaning.MISFIT),
        ((408, 425, 429, 502, 503, 504, 529), Meaning.BUSY),
        ((400, 409, 413, 414, 422, 431), Meaning.REFUSED),
        ((500, 100), Meaning.TROUBLED),
    ],
)
def test_statuses(statuses: tuple[int, ...], means: Meaning) -> None:
    assert {meaning(status) for status in statuses} == {means}


@given(st.one_of(st.none(), st.text(), st.floats().map(str), st.integers().map(str)))
def test_retry_after_is_bounded(header: str | None) -> None:
    seconds = seconds_to_wait(header)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


def test_waits() -> None:
    said = ["2", "0.5", "9999", "inf", "nan", "-3", "", None, "Fri, 31 Dec 2999 23:59:59 GMT"]
    assert [seconds_to_wait(text) for text in said] == [2, 0.5, 60, 60, None, None, None, None, None]


def test_messages_do_not_repeat_the_key() -> None:
    assert without_key("your key s3cret is s3cret", "s3cret") == "your key *** is ***"
    assert without_key("no key", None) == without_key("no key", "") == "no key"
