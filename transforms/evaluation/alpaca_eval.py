"""AlpacaEval's files and its win rates: `annotations.json` and `model_outputs.json`, read and written.

The arithmetic is that of tatsu-lab/alpaca_eval. Every figure is in percent. A message of a `ValueError` completes a
sentence that begins with the name of the file.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transforms.scoring.estimates import Estimate, Floats, estimate

DRAW = 1.5
SHOWN = 60  # characters of an instruction in a message


@dataclass(frozen=True)
class Share:
    """A mean share with its standard error, both in percent, over `n` rows; one row has no standard error."""

    percent: float
    standard_error: float | None
    n: int


@dataclass(frozen=True)
class Board:
    """A judge's annotations of one model, row by row; `model` and `baseline` are the generators that the file names.

    `wins` is preference − 1, NaN for a row without a verdict. `shorter` is the length of the baseline's output less
    that of the model's, in characters; None if any row lacks an output. `indices` are the places of the instructions in
    the evaluation set; None if the rows do not say.
    """

    instructions: tuple[str, ...]
    wins: Floats
    shorter: Floats | None
    indices: tuple[int, ...] | None
    model: str | None
    baseline: str | None

    @property
    def win_rate(self) -> Share:
        """The win rate over the rows that have a verdict."""
        return share(judged(self.wins))


def judged(wins: Floats) -> Floats:
    """Return the wins of the rows that have a verdict: failures are left out of n."""
    return np.asarray(wins[~np.isnan(wins)])


def share(values: Floats) -> Share:
    """Return the mean of shares between 0 and 1; the error is the sample standard deviation (ddof 1) over √n."""
    n = len(values)
    error = 100 * float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else None
    return Share(100 * float(np.mean(values)), error, n)


def interval(wins: Floats) -> Estimate:
    """Estimate the win rate as a share, with a bootstrap interval over the rows; there must be one."""

    def rate(weight: Floats | None) -> float:
        return float(np.average(wins, weights=weight))

    return estimate(rate, np.arange(len(wins)))


def wins_of(preferences: Iterable[float | None]) -> Floats:
    """Return preference − 1 of each row: 0 is a loss, 1 a win; NaN where there is no verdict.

    A preference of 0 is a draw: old files write it so.
    """
    found = np.array([math.nan if value is None else float(value) for value in preferences], dtype=np.float64)
    return np.where(found == 0, DRAW, found) - 1


def board_of(annotations: object) -> Board:
    """Read the contents of an `annotations.json`.

    Raises:
        ValueError: rows lack an instruction, repeat one, have a preference that is none, or are of several models; or
            no row has a preference.
    """
    rows = _objects(annotations)
    instructions = instructions_of(rows)
    repeated = [text for text, n in Counter(instructions).items() if n > 1]
    if repeated:
        places = [str(place) for place, text in enumerate(instructions, 1) if text == repeated[0]]
        raise ValueError(
            f"{len(repeated):,} of its instructions are repeated, e.g. {shown(repeated[0])} in rows "
            f"{' and '.join(places[:2])}, and would count twice; keep one annotation of each"
        )
    wins = _wins(rows)
    return Board(
        instructions, wins, _shorter(rows), _indices(rows), _only(rows, "generator_2"), _only(rows, "generator_1")
    )


def instructions_of(rows: object) -> tuple[str, ...]:
    """Return the instruction of every object of an `annotations.json` or `model_outputs.json`.

    Raises:
        ValueError: it is no list of objects, or any of them has no instruction.
    """
    objects = _objects(rows)
    without = [place for place, row in enumerate(objects, 1) if not isinstance(row.get("instruction"), str)]
    if without:
        raise ValueError(
            f"{len(without):,} of its {len(objects):,} rows have no text `instruction`, the first is row {without[0]:,}"
            "; restore them from the evaluation set"
        )
    return tuple(row["instruction"] for row in objects)


def annotations(verdicts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the contents of an `annotations.json` for verdicts of ours.

    A verdict has `prompt_set`, `prompt`, `output`, `reference` (the reference model's answer), `model_id`,
    `reference_id`, `judge_id` and `preference` (None if the judge failed).
    """
    return [
        {
            "instruction": row["prompt"],
            "output_1": row["reference"],
            "generator_1": row["reference_id"],
            "dataset": row["prompt_set"],
            "output_2": row["output"],
            "generator_2": row["model_id"],
            "annotator": row["judge_id"],
            "preference": row["preference"],
        }
        for row in verdicts
    ]


def model_outputs(answers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the contents of a `model_outputs.json` for answers with `prompt_set`, `prompt`, `output`, `model_id`."""
    return [
        {
            "dataset": row["prompt_set"],
            "instruction": row["prompt"],
            "output": row["output"],
            "generator": row["model_id"],
        }
        for row in answers
    ]


def shown(text: str) -> str:
    """Return the beginning of a text in quotes, on one line."""
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def _objects(rows: object) -> list[dict[str, Any]]:
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list of JSON objects, one for each instruction; copy the file that alpaca_eval wrote")
    return rows


def _wins(rows: Sequence[Mapping[str, Any]]) -> Floats:
    preferences = [_missing_as_none(row.get("preference")) for row in rows]
    wrong = [(place, value) for place, value in enumerate(preferences, 1) if not _is_preference(value)]
    if wrong:
        place, value = wrong[0]
        raise ValueError(
            f"{len(wrong):,} of its {len(rows):,} rows have a `preference` that is no number from 1 (the baseline is "
            f"better) to 2 (the model is better), the first is {value!r} in row {place:,}; annotate them again"
        )
    if all(value is None for value in preferences):
        raise ValueError(f"none of its {len(rows):,} rows has a `preference`; ask the judge again")
    return wins_of(preferences)


def _missing_as_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _is_preference(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and (value == 0 or 1 <= value <= 2)


def _shorter(rows: Sequence[Mapping[str, Any]]) -> Floats | None:
    outputs = [(row.get("output_1"), row.get("output_2")) for row in rows]
    lengths = [len(base) - len(own) for base, own in outputs if isinstance(base, str) and isinstance(own, str)]
    return np.array(lengths, dtype=np.float64) if len(lengths) == len(rows) else None


def _indices(rows: Sequence[Mapping[str, Any]]) -> tuple[int, ...] | None:
    found = [row.get("index") for row in rows]
    numbers = tuple(place for place in found if isinstance(place, int) and not isinstance(place, bool))
    return numbers if len(set(numbers)) == len(rows) else None


def _only(rows: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """Return the one generator of all rows; None if they name none."""
    found = sorted({str(row[name]) for row in rows if row.get(name) is not None})
    if len(found) > 1:
        raise ValueError(
            f"`{name}` names {len(found):,} models, e.g. {found[0]} and {found[1]}; give each model a folder of its own"
        )
    return found[0] if found else None
