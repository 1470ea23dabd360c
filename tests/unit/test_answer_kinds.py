"""Requests of each kind of answer; tests/transforms/test_scores.py tests the scores from the answers."""

import re

import pytest

from jobs.recipe.scoring import ScoreCandidates
from transforms.prompting.prompts import Template
from transforms.scoring.answer_kinds import (
    ALONE,
    GIVEN,
    AnswerKind,
    Ending,
    Labels,
    Likelihood,
    Question,
    Sampling,
    Written,
    one_of,
)

TEMPLATE = Template("about", "How does {response} follow from {instruction}?")
EMPTY = Template("about", "How does  follow from ?")
FREE = {"temperature": 0.7, "max_tokens": 116}
BOUND = FREE | {"regex": r"[^\n]{1,100}\nScore: [1-5]"}
LIKELIEST = {"temperature": 0.0, "max_tokens": 1}


@pytest.mark.parametrize(
    ("kind", "always", "unparsed"),
    [
        (Written((1, 5)), (BOUND,), (FREE, BOUND)),
        (Labels((0, 3)), *[(LIKELIEST | {"labels": ["0", "1", "2", "3"]},)] * 2),
        (Likelihood(), *[(LIKELIEST,)] * 2),
        (Ending(), *[(LIKELIEST | {"labels": [""]},)] * 2),
    ],
)
def test_samplings_of_each_kind(kind: AnswerKind, always: tuple[Sampling, ...], unparsed: tuple[Sampling, ...]) -> None:
    settings = ScoreCandidates(temperature=0.7, rationale_chars=100)
    assert kind.samplings(settings) == always
    assert kind.samplings(settings.model_copy(update={"constrain": "unparsed"})) == unparsed


@pytest.mark.parametrize(
    ("kind", "question"),
    [
        (Written((1, 5)), Question({None: TEMPLATE})),
        (Labels((1, 5)), Question({None: TEMPLATE})),
        (Likelihood(), Question({GIVEN: TEMPLATE, ALONE: EMPTY}, "response")),
        (Ending(), Question({None: TEMPLATE}, "response")),
    ],
)
def test_prompts_of_each_kind(kind: AnswerKind, question: Question) -> None:
    assert kind.question(TEMPLATE, "response") == question


@pytest.mark.parametrize("scale", [(1, 5), (0, 9), (1, 10), (0, 100), (7, 12), (-3, 3)])
def test_the_grammar_accepts_exactly_the_numbers_of_the_scale(scale: tuple[int, int]) -> None:
    let_through = [n for n in range(-1200, 1200) if re.fullmatch(one_of(scale), str(n))]
    assert let_through == list(range(scale[0], scale[1] + 1))
    assert not any(re.fullmatch(one_of(scale), text) for text in ("", "01", "1.0", " 1", "1|2", "+1"))


def test_the_grammar_of_single_digits_is_spelled_as_in_the_ledger() -> None:
    """Another spelling would ask for every rating again."""
    assert [one_of(scale) for scale in ((0, 9), (1, 5), (9, 10))] == ["[0-9]", "[1-5]", "(9|10)"]


@pytest.mark.parametrize("scale", [(1, 10), (-1, 3), (5, 1), (3, 3)])
def test_labels_are_numbers_of_one_digit(scale: tuple[int, int]) -> None:
    assert Labels((0, 9)).labels == list("0123456789")
    with pytest.raises(ValueError, match=rf"numbers of one digit; a scale from {scale[0]} to {scale[1]} has others"):
        Labels(scale)


@pytest.mark.parametrize("scale", [(5, 1), (3, 3)])
def test_a_scale_has_two_ends(scale: tuple[int, int]) -> None:
    assert Written((1, 5)).bounds == (1, 5)
    with pytest.raises(ValueError, match=f"from a lower to a higher number, not from {scale[0]} to {scale[1]}"):
        Written(scale)
