"""AlpacaEval's length-controlled win rate: predicted from published weights, or fitted.

A model wins row i with probability σ(a·tᵢ + k·dᵢ + b). tᵢ = tanh((length of the baseline's output − length of the
model's) / s), with lengths in characters and s the sample standard deviation of that difference over the model's rows.
dᵢ is the difficulty of the instruction. The length-controlled win rate is the mean of that probability at t = 0.
Source: `glm_winrate.py` of tatsu-lab/alpaca_eval (length_controlled_v1); Dubois et al., arXiv 2404.04475.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transforms.evaluation.alpaca_eval import Board, Share, share
from transforms.scoring.estimates import Floats

STRENGTHS = np.logspace(-4, 4, 10)  # C, the inverse of the penalty's strength, from which cross-validation chooses
FOLDS = 5
GAMED_WEIGHT = 0.2 / 2  # 0.2 by the definition, shared by the baseline's concise and verbose variants
MAX_STEPS, MAX_SWEEPS, RESOLUTION = 200, 500, 1e-13

DIFFICULTY = "instruction_difficulty"
LENGTH = "np.tanh(std_delta_len)"
CONSTANTS = ("not_gamed_baseline.astype(float)", "not_gamed_baseline")
ROW_NAMES = ("", "Unnamed: 0", "model", "index")  # the first as pandas writes an index


@dataclass(frozen=True)
class Weights:
    """The coefficients of one model: a of the length, k of the difficulty, b, the model's quality."""

    a: float
    k: float
    b: float

    def predicted(self, difficulty: Floats) -> Share:
        """Return the length-controlled win rate over rows of these difficulties."""
        return share(_logistic(self.k * difficulty + self.b))


@dataclass(frozen=True)
class Gamed:
    """The rows of `df_gamed.csv`: the baseline's concise and verbose variants judged against the baseline.

    `features` has the columns t, d and 0; `wins` are between 0 and 1; `difficulties` are of the evaluation set.
    """

    features: Floats
    wins: Floats
    difficulties: dict[int, float]


def weights_of(text: str) -> dict[str, Weights]:
    """Read a CSV of weights, `metrics/weights/<judge>/length_controlled_v1/baseline_<name>.csv`, by model.

    Raises:
        ValueError: a column is missing, a cell is no number, or a model has two different rows.
    """
    rows = _rows(text)
    names = _column(rows, ROW_NAMES, "of the models' names, unnamed or `model`")
    a, k, b = _column(rows, (LENGTH,)), _column(rows, (DIFFICULTY,)), _column(rows, CONSTANTS)
    found: dict[str, Weights] = {}
    for place, row in enumerate(rows, 1):
        weights = Weights(*(_number(row, column, place) for column in (a, k, b)))
        if found.setdefault(row[names], weights) != weights:
            raise ValueError(f"row {place:,} has other weights for {row[names]} than a row before it; keep one of them")
    return found


def difficulties_of(text: str) -> dict[int, float]:
    """Read a CSV of difficulties, `instruction_difficulty.csv`, by the instruction's place in the evaluation set.

    Without a column `index` (or an unnamed one) the rows are in the evaluation set's order.

    Raises:
        ValueError: the column is missing, a cell is no number, or an instruction has two different difficulties.
    """
    rows = _rows(text)
    column = _column(rows, (DIFFICULTY,))
    index = next((name for name in ("index", "", "Unnamed: 0") if name in rows[0]), None)
    found: dict[int, float] = {}
    for place, row in enumerate(rows, 1):
        instruction = place - 1 if index is None else _whole(row, index, place)
        difficulty = _number(row, column, place)
        if found.setdefault(instruction, difficulty) != difficulty:
            raise ValueError(f"row {place:,} has another difficulty for index {instruction} than a row before it")
    return found


def gamed_of(text: str) -> Gamed:
    """Read AlpacaEval's `df_gamed.csv`; a row without a preference is left out of the fit.

    Raises:
        ValueError: a column is missing, a cell is no number, or a row is not of a gamed baseline.
    """
    rows = _rows(text)
    length, wins, flag = (_column(rows, (name,)) for name in ("std_delta_len", "preference", "not_gamed_baseline"))
    _column(rows, ("index",))
    difficulties = difficulties_of(text)
    judged = [(place, row) for place, row in enumerate(rows, 1) if row[wins].strip().lower() not in ("", "nan")]
    for place, row in judged:
        if row[flag].strip().lower() not in ("false", "0", "0.0"):
            raise ValueError(f"row {place:,} is of no gamed baseline: `{flag}` is {row[flag]!r}; use the official file")
        if not 0 <= _number(row, wins, place) <= 1:
            raise ValueError(f"row {place:,} has the preference {row[wins]!r}, which is not between 0 and 1")
    features = [[math.tanh(_number(r, length, n)), _number(r, DIFFICULTY, n), 0.0] for n, r in judged]
    return Gamed(np.array(features).reshape(-1, 3), np.array([float(r[wins]) for _, r in judged]), difficulties)


def fitted(board: Board, difficulty: Floats | None, gamed: Gamed | None) -> Weights | None:
    """Fit a board's weights; None if it has fewer than five verdicts or lacks outputs.

    The fit is L1-penalised logistic regression on soft labels. Cross-validation chooses the strength of the penalty.
    The gamed rows constrain a and k alone. Without difficulties, k is 0.
    """
    is_judged = ~np.isnan(board.wins)
    if board.shorter is None or is_judged.sum() < FOLDS:
        return None
    spread = float(np.std(board.shorter, ddof=1))
    ones = np.ones(len(board.wins))
    length = np.tanh(board.shorter / spread) if spread else 0 * ones
    own = np.column_stack([length, 0 * ones if difficulty is None else difficulty, ones])[is_judged]
    x, y, weight = own, board.wins[is_judged], np.ones(len(own))
    if gamed:
        x, y = np.vstack([gamed.features, x]), np.concatenate([gamed.wins, y])
        weight = np.concatenate([np.full(len(gamed.wins), GAMED_WEIGHT), weight])
    return Weights(*(float(w) for w in minimum(x, y, weight, best_strength(x, y, weight))))


def best_strength(x: Floats, y: Floats, weight: Floats) -> float:
    """Return the C with the least log loss in cross-validation: the mean over folds, the smallest C of equal ones.

    Row i is in fold i mod 5, as in scikit-learn's `GroupKFold` where sorting keeps the order of equal groups.
    """
    fold = np.arange(len(y)) % FOLDS
    losses = np.zeros(len(STRENGTHS))
    for out in range(FOLDS):
        kept, held = fold != out, fold == out
        start = np.zeros(x.shape[1])
        for place, strength in enumerate(STRENGTHS):
            start = minimum(x[kept], y[kept], weight[kept], strength, start)
            losses[place] += _log_loss(x[held] @ start, y[held], weight[held]) / held.sum()
    return float(STRENGTHS[np.argmin(losses)])


def minimum(x: Floats, y: Floats, weight: Floats, strength: float, start: Floats | None = None) -> Floats:
    """Return the w with the least |w|₁ + C · Σ weight · (log(1 + e^z) − y·z), z = x·w, by proximal Newton steps.

    liblinear minimises the same function, less exactly.
    """
    w = np.zeros(x.shape[1]) if start is None else start
    for _ in range(MAX_STEPS):
        p = _logistic(x @ w)
        slope = strength * (x.T @ (weight * (p - y)))
        curve = strength * ((x.T * (weight * p * (1 - p))) @ x) + RESOLUTION * np.eye(len(w))
        step = _newton_step(slope, curve, w)
        promised = float(slope @ step + np.abs(w + step).sum() - np.abs(w).sum())
        value, length = _objective(x, y, weight, strength, w), 1.0
        if -promised <= RESOLUTION * value:  # floating point shows no gain, and Newton's last step is the best
            return w + step
        while _objective(x, y, weight, strength, w + length * step) > value + 1e-4 * length * promised:
            length /= 2
        w = w + length * step
    return w


def _newton_step(slope: Floats, curve: Floats, w: Floats) -> Floats:
    """Return the step to the least quadratic model plus |w + step|₁, one coordinate after the other."""
    step = np.zeros(len(w))
    for _ in range(MAX_SWEEPS):
        before = step.copy()
        for j, bend in enumerate(np.diag(curve)):
            pull = slope[j] + curve[j] @ step - bend * step[j]
            target = w[j] - pull / bend
            step[j] = math.copysign(max(abs(target) - 1 / bend, 0.0), target) - w[j]
        if np.abs(step - before).max() < RESOLUTION:
            break
    return step


def _objective(x: Floats, y: Floats, weight: Floats, strength: float, w: Floats) -> float:
    return float(np.abs(w).sum()) + strength * _log_loss(x @ w, y, weight)


def _log_loss(z: Floats, y: Floats, weight: Floats) -> float:
    return float((weight * (np.logaddexp(0, z) - y * z)).sum())


def _logistic(z: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0, -z)))


def _rows(text: str) -> list[dict[str, str]]:
    """Read a CSV with a header; a short row is filled with empty cells."""
    rows = list(csv.DictReader(io.StringIO(text, newline=""), restval=""))
    if not rows:
        raise ValueError("it has no rows below a header")
    return rows


def _column(rows: Sequence[dict[str, str]], names: Sequence[str], about: str = "") -> str:
    """Return the first of the names that is a column."""
    found = next((name for name in names if name in rows[0]), None)
    if found is None:
        raise ValueError(f"it lacks the column {about or f'`{names[0]}`'}; it has {', '.join(map(repr, rows[0]))}")
    return found


def _number(row: dict[str, str], column: str, place: int) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"row {place:,}: `{column}` is {row[column]!r}, which is no number")
    return value


def _whole(row: dict[str, str], column: str, place: int) -> int:
    value = _number(row, column, place)
    if value != int(value):
        raise ValueError(f"row {place:,}: `{column}` is {row[column]!r}, which is no whole number")
    return int(value)
