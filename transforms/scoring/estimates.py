"""What a score is worth on pairs whose truth is known, each figure with its bootstrap interval.

`score` is a float array, `truth` a boolean one (true: a good pair), `weight` how often each pair
counts; all of one length.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPEATS, LEVEL = 1000, 0.95
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A figure with the interval that holds it."""

    value: float
    low: float
    high: float


def auc(score: Floats, truth: Bools, weight: Floats | None = None) -> float:
    """The chance that a good pair scores above a bad one, ties half: Mann-Whitney's U over n·m.

    Not a number where there is no good or no bad pair.
    """
    counts = np.ones(len(score)) if weight is None else weight
    _, place = np.unique(score, return_inverse=True)
    good, bad = (np.bincount(place, counts * which) for which in (truth, ~truth))
    pairs = good.sum() * bad.sum()
    return float((good * (np.cumsum(bad) - bad / 2)).sum() / pairs) if pairs else math.nan


def precision(score: Floats, truth: Bools, threshold: float, weight: Floats | None = None) -> float:
    """Of the pairs kept (at least the threshold) the share that is good; not a number where none is kept."""
    counts = np.ones(len(score)) if weight is None else weight
    kept = score >= threshold
    return float((counts * (kept & truth)).sum() / (counts * kept).sum()) if (counts * kept).any() else math.nan


def recall(score: Floats, truth: Bools, threshold: float, weight: Floats | None = None) -> float:
    """Of the good pairs the share that is kept; not a number where there is none."""
    counts = np.ones(len(score)) if weight is None else weight
    kept = score >= threshold
    return float((counts * (kept & truth)).sum() / (counts * truth).sum()) if (counts * truth).any() else math.nan


def f1(score: Floats, truth: Bools, threshold: float, weight: Floats | None = None) -> float:
    """The harmonic mean of precision and recall: 0 where no good pair is kept."""
    counts = np.ones(len(score)) if weight is None else weight
    kept = score >= threshold
    both = (counts * kept).sum() + (counts * truth).sum()
    return float(2 * (counts * (kept & truth)).sum() / both) if both else 0.0


def best_threshold(score: Floats, truth: Bools) -> float:
    """The threshold of the highest F1."""
    return max((float(t) for t in np.unique(score)), key=lambda t: f1(score, truth, t))


def threshold_for(score: Floats, truth: Bools, target: float, least: int = 1) -> float | None:
    """The lowest threshold whose precision reaches the target with `least` pairs kept, or None where none does."""
    enough = (float(t) for t in np.unique(score) if (score >= t).sum() >= least)
    return next((t for t in enough if precision(score, truth, t) >= target), None)


def shares(score: Floats, truth: Bools, group: NDArray[Any], parts: int = 5) -> list[float]:
    """Calibration: the share of good pairs in each part of the pairs, lowest scores first; ties by group."""
    order = np.lexsort((group, score))
    return [float(part.mean()) for part in np.array_split(truth[order], parts) if part.size]


def mean_rank(scores: Sequence[Floats]) -> Floats:
    """The mean percentile rank of each pair, 0 to 1, as curation combines scorers."""
    ranks = [np.searchsorted(np.sort(score), score) / max(len(score) - 1, 1) for score in scores]
    return np.asarray(np.mean(ranks, axis=0))


def estimate(statistic: Callable[[Floats | None], float], group: NDArray[Any]) -> Estimate:
    """A statistic of the weighted pairs with its percentile bootstrap interval (95 %), always the same for the same.

    Whole groups are drawn: the versions of one pair have a text in common, so their scores move together.
    """
    names, member = np.unique(group, return_inverse=True)
    draws = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=REPEATS)
    repeats = np.array([statistic(draw[member].astype(float)) for draw in draws])
    numbers = repeats[~np.isnan(repeats)]
    low, high = np.quantile(numbers, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if numbers.size else (math.nan, math.nan)
    return Estimate(statistic(None), float(low), float(high))
