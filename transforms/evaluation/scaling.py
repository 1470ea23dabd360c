"""The fit of a figure to the logarithm of the data size: value = α ln N + C."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from transforms.scoring.estimates import LEVEL, Estimate

MIN_POINTS = 3  # two points have no residuals


@dataclass(frozen=True)
class Fit:
    """The least-squares fit of value = α ln N + C; `alpha` is per unit of the natural logarithm.

    The interval is α ± t · SE(α), where t is Student's quantile with `degrees` = n − 2 degrees of freedom and SE comes
    from the residuals. It holds if the residuals are normal with one variance.
    """

    alpha: Estimate
    constant: float
    degrees: int

    @property
    def per_doubling(self) -> Estimate:
        """The change of the value when N doubles: α ln 2."""
        return self._times(math.log(2))

    @property
    def per_tenfold(self) -> Estimate:
        """The change of the value when N grows tenfold: α ln 10, the slope over log10 N."""
        return self._times(math.log(10))

    def at(self, n: float) -> float:
        """Return the fitted value for `n` pairs."""
        return self.alpha.value * math.log(n) + self.constant

    def _times(self, factor: float) -> Estimate:
        alpha = self.alpha
        return Estimate(factor * alpha.value, factor * alpha.low, factor * alpha.high)


def fitted(sizes: Sequence[int], values: Sequence[float]) -> Fit:
    """Fit the values of models trained on `sizes` pairs.

    Raises:
        ValueError: there are fewer than three points or fewer than three different sizes, a size is below 1, or a value
            is not finite.
    """
    if len(set(sizes)) < MIN_POINTS:
        raise ValueError(f"a fit with an interval needs {MIN_POINTS} different sizes, and there are {len(set(sizes))}")
    if min(sizes) < 1:
        raise ValueError(f"a size is {min(sizes)}, which has no logarithm")
    x, y = np.log(np.array(sizes, dtype=float)), np.array(values, dtype=float)
    if not np.isfinite(y).all():
        raise ValueError("a value is not a finite number")
    spread = ((x - x.mean()) ** 2).sum()
    alpha = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    constant = float(y.mean() - alpha * x.mean())
    degrees = len(x) - 2
    variance = ((y - alpha * x - constant) ** 2).sum() / degrees
    half = float(stdtrit(degrees, (1 + LEVEL) / 2) * math.sqrt(variance / spread))
    return Fit(Estimate(alpha, alpha - half, alpha + half), constant, degrees)
