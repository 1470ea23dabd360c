"""Figures by hand, intervals that behave, and choices made on one half and measured on the other."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.scoring import estimates
from transforms.scoring.estimates import auc, estimate, f1, mean_rank, precision, recall, shares, threshold_for
from transforms.scoring.judge_check import ALL_BAD, best_combination, first_half, measures

SCORES = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


def both(good: list[float], bad: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([*good, *bad], dtype=float), np.array([True] * len(good) + [False] * len(bad))


def test_auc_by_hand() -> None:
    # 3 beats 1 and 2; 2 beats 1 and ties 2: 3.5 of 4.
    assert auc(*both([3, 2], [1, 2])) == 3.5 / 4


@pytest.mark.parametrize(("good", "bad", "expected"), [([2], [1], 1.0), ([1], [2], 0.0), ([1, 1], [1, 1, 1], 0.5)])
def test_auc_at_its_ends_and_middle(good: list[float], bad: list[float], expected: float) -> None:
    assert auc(*both(good, bad)) == expected


@given(SCORES, SCORES)
def test_auc_counts_every_pair(good: list[float], bad: list[float]) -> None:
    wins = sum((t > m) + 0.5 * (t == m) for t in good for m in bad)
    assert auc(*both(good, bad)) == pytest.approx(wins / len(good) / len(bad))


@given(SCORES, SCORES, st.data())
def test_weights_count_as_repetitions(good: list[float], bad: list[float], data: st.DataObject) -> None:
    score, truth = both(good, bad)
    weight = np.array([data.draw(st.integers(0, 3)) for _ in score])
    repeated = np.repeat(score, weight), np.repeat(truth, weight)
    for figure in (auc, lambda *a: precision(*a[:2], 0.0, *a[2:]), lambda *a: recall(*a[:2], 0.0, *a[2:])):
        assert figure(score, truth, weight.astype(float)) == pytest.approx(figure(*repeated), nan_ok=True)


def test_precision_recall_and_f1_by_hand() -> None:
    score, truth = both([4, 5, 1], [4, 2])
    assert (precision(score, truth, 4), recall(score, truth, 4)) == (2 / 3, 2 / 3)
    assert f1(score, truth, 4) == pytest.approx(2 / 3)
    assert np.isnan(precision(score, truth, 6))
    assert (recall(score, truth, 6), f1(score, truth, 6)) == (0, 0)


@given(SCORES, SCORES, st.data())
def test_figures_are_between_0_and_1_or_nan(good: list[float], bad: list[float], data: st.DataObject) -> None:
    """A draw of the bootstrap may have no good pair, and keep none."""
    score, truth = both(good, bad)
    weight = np.array([data.draw(st.sampled_from([0.0, 1.0, 2.0])) for _ in score])
    threshold = data.draw(st.sampled_from([-1e9, *good, *bad, 1e9]))
    for value in (
        auc(score, truth, weight),
        *(figure(score, truth, threshold, weight) for figure in (precision, recall, f1)),
    ):
        assert np.isnan(value) or 0 <= value <= 1 + 1e-9


def test_the_interval_of_no_values_is_nan() -> None:
    found = estimate(lambda weight: np.nan, np.array(["a", "b"]))
    assert np.isnan([found.value, found.low, found.high]).all()


def test_thresholds() -> None:
    score, truth = both([4, 5, 3], [4, 2])
    assert estimates.best_threshold(score, truth) == 3
    assert threshold_for(score, truth, 0.75) == 3
    assert threshold_for(score, truth, 0.9) == 5
    assert threshold_for(-score, truth, 0.9) is None
    assert threshold_for(score, truth, 0.9, least=2) is None, "one pair alone is no evidence"


def test_calibration_and_ranks() -> None:
    score, truth = both([4, 5], [1, 2])
    assert shares(score, truth, np.array([*"abcd"]), 2) == [0.0, 1.0]
    assert mean_rank([np.array([1.0, 2.0, 2.0]), np.array([0.0, 1.0, 2.0])]).tolist() == [0.0, 0.5, 0.75]


def normals(n: int, apart: float, seed: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    score, truth = both(draw.normal(apart, 1, n).tolist(), draw.normal(0, 1, n).tolist())
    return score, truth, np.tile(np.arange(n), 2)


def test_interval_is_repeatable_holds_the_value_and_narrows_with_n() -> None:
    def of(n: int) -> estimates.Estimate:
        score, truth, group = normals(n, 1)
        return estimate(lambda w: auc(score, truth, w), group)

    wide, narrow = of(50), of(400)
    assert narrow == of(400)
    assert narrow.low < narrow.value < narrow.high
    assert narrow.high - narrow.low < wide.high - wide.low
    # For two normals one deviation apart the AUC is Phi(1 / sqrt 2) = 0.760.
    assert narrow.low < 0.760 < narrow.high


def ratings(scorer: str, **kinds: list[float]) -> list[tuple[str, str, str, float]]:
    return [(f"known/seed/{kind}/{n}/x", scorer, "m", s) for kind, of in kinds.items() for n, s in enumerate(of)]


def test_measures_of_a_perfect_and_a_partial_judge() -> None:
    good, bad = [2.0 + n / 100 for n in range(40)], [n / 100 for n in range(40)]
    found = measures([*ratings("a", true=good, mismatched=bad, cut=good)], thresholds={"a": 1.0}, target=0.9)
    by = {(m.measure, m.of): m.value for m in found}
    assert (by["auc", "mismatched"], by["auc", "cut"], by["auc", ALL_BAD]) == (1.0, 0.5, 0.75)
    assert (by["precision", "at 1"], by["recall", "at 1"]) == (0.5, 1.0)
    assert by["threshold", "for precision 0.9"] is None
    assert by["share of good pairs", "fifth 1 of the scores"] == 0.0


def test_a_threshold_for_a_precision_is_chosen_on_one_half_and_measured_on_the_other() -> None:
    good, bad = [2.0 + n / 100 for n in range(80)], [n / 100 for n in range(80)]
    found = measures(ratings("a", true=good, mismatched=bad), thresholds={}, target=0.9)
    by = {(m.measure, m.of): m for m in found if "for precision 0.9" in m.of}
    threshold, precision, recall = (
        by["threshold", "for precision 0.9"], *(by[m, "on the other half, for precision 0.9"] for m in ("precision", "recall")),
    )  # fmt: skip
    assert threshold.value is not None
    assert 0 < threshold.value < 2, "so low that it lets a few bad ones in"
    assert precision.value is not None
    assert 0.7 < precision.value < 0.9, "it was 0.9 where it was chosen"
    assert recall.value == 1.0
    assert threshold.n is not None
    assert precision.n == recall.n == 160 - threshold.n


def test_without_a_threshold_it_is_chosen_on_one_half_and_measured_on_the_other() -> None:
    good, bad = [2.0 + n / 100 for n in range(40)], [n / 100 for n in range(40)]
    found = [
        m for m in measures(ratings("a", true=good, mismatched=bad), thresholds={}, target=0.9) if m.measure == "f1"
    ]
    (one,) = found
    assert one.value == pytest.approx(1.0, abs=0.1)
    assert "on one half, chosen on the other" in one.of
    assert one.n is not None
    assert one.n < 80


def test_ratings_without_bad_pairs_give_no_measures() -> None:
    assert [*measures(ratings("a", true=[1.0, 2.0]), thresholds={}, target=0.9)] == []


def test_halves_keep_the_versions_of_a_pair_together() -> None:
    group = np.array([hashlib.sha256(str(n).encode()).hexdigest() for n in range(200)] * 2)
    half = first_half(group)
    assert (half[:200] == half[200:]).all()
    assert 60 < half[:200].sum() < 140


def test_combining_complementary_judges_improves_the_auc() -> None:
    draw = np.random.default_rng(1)
    n = 200
    scores = {
        name: {
            f"known/seed/{kind}/{i}/x": float(draw.normal(1.5 if kind == "true" or kind == blind else 0, 0.5))
            for kind in ("true", "mismatched", "cut")
            for i in range(n)
        }
        for name, blind in (("a", "cut"), ("b", "mismatched"))
    }
    best = best_combination(scores)
    assert best is not None
    assert best.scorers == ("a", "b")
    assert best.gain.low > 0
    assert best.auc.value == pytest.approx(best.single_auc.value + best.gain.value)
    assert best.n < 3 * n
    assert best_combination({"a": scores["a"]}) is None
    assert best_combination({"a": {"known/seed/true/1/x": 1.0}, "b": {"known/seed/cut/1/x": 1.0}}) is None
