"""How well a score tells true pairs from mismatched ones: AUC, with a bootstrap interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

REPEATS = 1000


@dataclass(frozen=True)
class JudgeCheck:
    """The AUC (0.5 is chance, 1 is perfect) with the interval that holds it, and how many pairs it rests on."""

    auc: float
    low: float
    high: float
    n_true: int
    n_mismatched: int


def auc(true: ArrayLike, mismatched: ArrayLike) -> float:
    """The chance that a true pair scores above a mismatched one, ties half: Mann-Whitney's U over n·m.

    Raises:
        ValueError: one of the two is empty.
    """
    above, ranked = np.asarray(true, dtype=float), np.sort(np.asarray(mismatched, dtype=float))
    if not above.size or not ranked.size:
        raise ValueError(f"AUC needs both kinds of pairs: {above.size} true, {ranked.size} mismatched")
    return _auc_sorted(above, ranked)


def _auc_sorted(true: NDArray[np.float64], ranked: NDArray[np.float64]) -> float:
    below = np.searchsorted(ranked, true, side="left")
    not_above = np.searchsorted(ranked, true, side="right")
    return float((below + not_above).mean()) / (2 * ranked.size)


def judge_check(true: ArrayLike, mismatched: ArrayLike, *, level: float = 0.95, seed: int = 0) -> JudgeCheck:
    """The AUC and its percentile bootstrap interval, each kind resampled on its own, repeatably.

    A true pair and its mismatch share a response, so their scores move together: resampling them
    apart errs on the wide side.

    Raises:
        ValueError: one of the two is empty.
    """
    above, other = np.asarray(true, dtype=float), np.asarray(mismatched, dtype=float)
    point = auc(above, other)
    draw = np.random.default_rng(seed)
    repeats = [
        _auc_sorted(draw.choice(above, above.size), np.sort(draw.choice(other, other.size))) for _ in range(REPEATS)
    ]
    low, high = np.quantile(repeats, [(1 - level) / 2, (1 + level) / 2])
    return JudgeCheck(point, float(low), float(high), above.size, other.size)
