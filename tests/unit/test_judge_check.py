"""AUC by hand, and an interval that behaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.judge_check import auc, judge_check

SCORES = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


def test_auc_by_hand() -> None:
    # 3 beats 1 and 2; 2 beats 1 and ties 2: 3.5 of 4.
    assert auc([3, 2], [1, 2]) == 3.5 / 4


@pytest.mark.parametrize(
    ("true", "mismatched", "expected"), [([2], [1], 1.0), ([1], [2], 0.0), ([1, 1], [1, 1, 1], 0.5)]
)
def test_auc_at_its_ends_and_middle(true: list[int], mismatched: list[int], expected: float) -> None:
    assert auc(true, mismatched) == expected


@given(SCORES, SCORES)
def test_auc_counts_every_pair(true: list[int], mismatched: list[int]) -> None:
    wins = sum((t > m) + 0.5 * (t == m) for t in true for m in mismatched)
    assert auc(true, mismatched) == pytest.approx(wins / len(true) / len(mismatched))


@pytest.mark.parametrize(("true", "mismatched"), [([], [1.0]), ([1.0], [])])
def test_auc_needs_both_kinds(true: list[float], mismatched: list[float]) -> None:
    with pytest.raises(ValueError, match="needs both kinds"):
        auc(true, mismatched)


def test_interval_is_repeatable_holds_the_value_and_narrows_with_n() -> None:
    draw = np.random.default_rng(7)
    true, mismatched = draw.normal(1, 1, 400), draw.normal(0, 1, 400)
    wide, narrow = judge_check(true[:50], mismatched[:50]), judge_check(true, mismatched)
    assert narrow == judge_check(true, mismatched)
    assert (narrow.n_true, narrow.n_mismatched) == (400, 400)
    assert narrow.low < narrow.auc < narrow.high
    assert narrow.high - narrow.low < wide.high - wide.low
    # For two normals one deviation apart the AUC is Phi(1 / sqrt 2) = 0.760.
    assert narrow.low < 0.760 < narrow.high


def test_interval_of_a_perfect_judge_is_a_point() -> None:
    check = judge_check([2, 3, 4], [0, 1])
    assert (check.auc, check.low, check.high) == (1.0, 1.0, 1.0)
