"""Statistics of a score on pairs of known quality, with bootstrap intervals.

`score` is a float array, `truth` a boolean one (true: a good pair), `weight` the number of times that each
pair counts; all have one length.
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
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float


def auc(score: Floats, truth: Bools, weight: Floats | None = None) -> float:
    """Return the probability that a good pair scores above a bad one, ties half: Mann-Whitney's U over n·m.

    NaN without good or without bad pairs.
    """
    counts = np.ones(len(score)) if weight is None else weight
    _, place = np.unique(score, return_inverse=True)
    good, bad = (np.bincount(place, counts * which) for which in (truth, ~truth))
    pairs = good.sum() * bad.sum()
    return float((good * (np.cumsum(bad) - bad / 2)).sum() / pairs) if pairs else math.nan


def precision(score: Floats, truth: Bools, threshold: float, weight: Floats | None = None) -> float:
    """Return the share of good pairs among the pairs kept (score at least the threshold); NaN if none is kept."""
    counts = np.ones(len(score)) if weight is None else weight
    kept = score >= threshold
    return float((counts * (kept & truth)).sum() / (counts * kept).sum()) if (counts * kept).any() else math.nan


def recall(score: Floats, truth: Bools, threshold: float, weight: Floats | None = None) -> float:
    """Return the share of the good pairs that is kept; NaN without good pairs."""
    counts = np.ones(len(score)) if weight is None else weight
    kept = score >= threshold
    return float((counts * (kept & truth)).sum() / (counts * truth).sum()) if (counts * truth).any() else math.nan


def f1(score: Floats, truth: Bools, threshold: float, weight: Floats | None = None) -> float:
    """Return the harmonic mean of precision and recall; 0 if no good pair is kept."""
    counts = np.ones(len(score)) if weight is None else weight
    kept = score >= threshold
    both = (counts * kept).sum() + (counts * truth).sum()
    return float(2 * (counts * (kept & truth)).sum() / both) if both else 0.0


def best_threshold(score: Floats, truth: Bools) -> float:
    """Return the threshold with the highest F1."""
    return max((float(t) for t in np.unique(score)), key=lambda t: f1(score, truth, t))


def threshold_for(score: Floats, truth: Bools, target: float, least: int = 1) -> float | None:
    """Return the lowest threshold that keeps at least `least` pairs with the target precision, or None."""
    enough = (float(t) for t in np.unique(score) if (score >= t).sum() >= least)
    return next((t for t in enough if precision(score, truth, t) >= target), None)


def shares(score: Floats, truth: Bools, group: NDArray[Any], parts: int = 5) -> list[float]:
    """Return the calibration: the share of good pairs in each of `parts` parts, lowest scores first, ties by group."""
    order = np.lexsort((group, score))
    return [float(part.mean()) for part in np.array_split(truth[order], parts) if part.size]


def mean_rank(scores: Sequence[Floats]) -> Floats:
    """Return the mean percentile rank of each pair, 0 to 1, by which curation combines scorers."""
    ranks = [np.searchsorted(np.sort(score), score) / max(len(score) - 1, 1) for score in scores]
    return np.asarray(np.mean(ranks, axis=0))


def estimate(statistic: Callable[[Floats | None], float], group: NDArray[Any]) -> Estimate:
    """Estimate a statistic of the weighted pairs with a percentile bootstrap interval (95 %) from a fixed seed.

    Whole groups are drawn: the versions of one pair share a text, so their scores are correlated.
    """
    names, member = np.unique(group, return_inverse=True)
    draws = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=REPEATS)
    repeats = np.array([statistic(draw[member].astype(float)) for draw in draws])
    numbers = repeats[~np.isnan(repeats)]
    low, high = np.quantile(numbers, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if numbers.size else (math.nan, math.nan)
    return Estimate(statistic(None), float(low), float(high))
