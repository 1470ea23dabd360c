"""`humpback board`: win rates of a folder of AlpacaEval results, recomputed."""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jobs.cli.printing import plain, say, say_rows
from jobs.errors import JobError
from jobs.lake.rows import rows_of_dicts
from transforms.evaluation.alpaca_eval import Board, board_of, instructions_of, shown
from transforms.evaluation.length_control import Gamed, Weights, difficulties_of, fitted, gamed_of, weights_of
from transforms.scoring.estimates import Floats

ANNOTATIONS, OUTPUTS = "annotations.json", "model_outputs.json"
COLUMNS = ("model", "judge", "win_rate", "standard_error", "n")
LENGTH_CONTROLLED = ("lc_win_rate", "lc_standard_error", "lc_minimal")
Row = dict[str, Any]
Read = TypeVar("Read")


class UsageError(JobError):
    """Options that do not go together."""

    exit_code = 2


@dataclass(frozen=True)
class Given:
    """What the length-controlled figures are made from: weights and difficulties, gamed rows, or nothing.

    `judge` is the judge whose verdicts the weights were fitted to, if their path names it. `source` becomes `lc_from`.
    """

    source: str = ""
    judge: str | None = None
    weights: dict[str, Weights] | None = None
    difficulties: dict[int, float] | None = None
    gamed: Gamed | None = None


def run(options: argparse.Namespace) -> int:
    """Print one line for each model and judge; print the faults on stderr, and return exit code 1 if there are any."""
    root: Path = options.dir
    faults: list[str] = []
    given = _given(options)
    if options.lake:
        from jobs.cli.verdicts import write_verdicts  # imports DuckDB and delta-rs

        write_verdicts(options.lake, root)
    files = list(_files(root))
    if not files:
        raise JobError(_nothing_in(root))
    rows = sorted(_rows(files, given, faults), key=_rank)
    if options.json:
        say(json.dumps(row, allow_nan=False) for row in rows)
    elif rows:
        columns = [*COLUMNS, *(name for name in LENGTH_CONTROLLED if any(name in row for row in rows))]
        say_rows(rows_of_dicts(columns, [dict.fromkeys(columns) | _rounded(row) for row in rows]), as_json=False)
    for line in (*_bare(root, files), *faults):
        sys.stderr.write(plain(f"humpback: {line}") + "\n")
    return 1 if faults else 0


def _rank(row: Row) -> tuple[str, float, str]:
    """Order the boards of a judge by the figure that counts, best first."""
    figure: float = row["lc_win_rate"] if "lc_win_rate" in row else row["win_rate"]
    return row["judge"], -figure, row["model"]


def _given(options: argparse.Namespace) -> Given:
    if bool(options.weights) != bool(options.difficulty):
        raise UsageError("--weights and --difficulty belong together: a figure is predicted from both")
    if options.weights and options.gamed:
        raise UsageError("give --weights with --difficulty to predict, or --gamed to fit, not both")
    if options.weights:
        weights, difficulties = _csv(options.weights, weights_of), _csv(options.difficulty, difficulties_of)
        # <judge>/length_controlled_v1/baseline_<name>.csv, as that project keeps them
        judge = options.weights.resolve().parent.parent.name
        return Given("weights", judge, weights, difficulties)
    if options.gamed:
        gamed, digest = _csv(options.gamed, gamed_of), hashlib.sha256(options.gamed.read_bytes()).hexdigest()
        return Given(f"fit with gamed rows sha256:{digest}", None, None, gamed.difficulties, gamed)
    return Given()


def _csv(path: Path, read: Callable[[str], Read]) -> Read:
    try:
        return read(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise JobError(f"{path}: {error}") from error


@dataclass(frozen=True)
class File:
    """An annotations file, and the folder of its model and the name of its judge."""

    model: Path
    judge: str
    path: Path


def _files(root: Path) -> Iterator[File]:
    """Yield every annotations file; some results lie in a second folder of the judge's name."""
    for model in _folders(root):
        for judge in _folders(model):
            places = (judge / ANNOTATIONS, judge / judge.name / ANNOTATIONS)
            if path := next((place for place in places if place.is_file()), None):
                yield File(model, judge.name, path)


def _folders(place: Path) -> Sequence[Path]:
    try:
        return sorted(f for f in place.iterdir() if f.is_dir() and not f.name.startswith("."))
    except OSError as error:
        raise JobError(f"{place}: cannot be read: {error.strerror}") from error


def _bare(root: Path, files: Sequence[File]) -> Iterator[str]:
    """Yield a remark about models that nobody judged, which is no fault."""
    judged = {file.model for file in files}
    bare = [model.name for model in _folders(root) if model not in judged]
    if bare:
        yield f"{root}: {len(bare):,} of its folders hold no {ANNOTATIONS}, e.g. {bare[0]}, and have no line"


def _nothing_in(root: Path) -> str:
    advice = "name the folder above it" if any(root.glob(f"*/{ANNOTATIONS}")) else "name the folder of the results"
    return f"{root}: no {ANNOTATIONS} lies where {root}/<model>/<judge>/{ANNOTATIONS} would; {advice}"


def _rows(files: Sequence[File], given: Given, faults: list[str]) -> Iterator[Row]:
    """Yield the figures of each file, and append what is wrong with it to `faults`."""
    is_for_one_judge = given.judge in {file.judge for file in files}
    order_of_set = cache(partial(_order_of_set, files, len(given.difficulties or ())))
    for file in files:
        try:
            board = board_of(_json(file.path))
            order = _outputs(board, file, faults)
        except ValueError as error:
            faults.append(f"{file.path}: {error}")
            continue
        found = board.win_rate
        row: Row = {"model": file.model.name, "judge": file.judge}
        row |= {"win_rate": found.percent, "standard_error": found.standard_error, "n": found.n}
        if given.judge == file.judge or not is_for_one_judge:
            try:
                if _lacks_places(board, given) and len(order or ()) != len(given.difficulties or ()):
                    order = order_of_set()
                row |= _length_controlled(board, file.model.name, order, given)
            except ValueError as error:
                faults.append(f"{file.path}: no length-controlled win rate: {error}")
        yield row


def _lacks_places(board: Board, given: Given) -> bool:
    """Return whether a board lacks rows and has no `index` that tells which."""
    return board.indices is None and len(board.instructions) < len(given.difficulties or ())


def _order_of_set(files: Sequence[File], n: int) -> Sequence[str] | None:
    """Return the instructions of the first readable file with all `n` rows; such files have the set's order."""
    for file in files:
        try:
            instructions = board_of(_json(file.path)).instructions
        except ValueError:
            continue  # the fault is reported with the model of the file
        if len(instructions) == n:
            return instructions
    return None


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}; copy the file again") from error


def _outputs(board: Board, file: File, faults: list[str]) -> Sequence[str] | None:
    """Return the instructions of the model's `model_outputs.json` in its order; None if it is missing or unreadable.

    Raises:
        ValueError: an annotation is of an instruction that is not among them.
    """
    place = file.model / OUTPUTS
    if not place.is_file():
        return None
    try:
        outputs = instructions_of(_json(place))
    except ValueError as error:
        faults.append(f"{place}: {error}")
        return None
    answered, annotated = set(outputs), set(board.instructions)
    unmatched = [text for text in board.instructions if text not in answered]
    if unmatched:
        raise ValueError(
            f"{len(unmatched):,} of its {len(board.instructions):,} instructions are not in {place}, e.g. "
            f"{shown(unmatched[0])}; annotate those outputs, or restore the outputs that were annotated"
        )
    missing = [text for text in outputs if text not in annotated]
    if missing:
        faults.append(
            f"{file.path}: {len(missing):,} of the {len(outputs):,} instructions of {place} have no annotation and are "
            f"left out, e.g. {shown(missing[0])}; annotate them"
        )
    return outputs


def _length_controlled(board: Board, model: str, order: Sequence[str] | None, given: Given) -> Row:
    """Return the length-controlled figures: predicted, or fitted, or, without difficulties, `lc_minimal`.

    Raises:
        ValueError: weights, difficulties or outputs are missing.
    """
    if given.difficulties is None:
        weights = fitted(board, None, None)
        return {"lc_minimal": weights.predicted(np.zeros(1)).percent} if weights else {}
    if board.model and board.model == board.baseline:  # the answers are the same
        return {"lc_win_rate": 50.0, "lc_standard_error": 0.0, "lc_from": "definition"}
    difficulty = _difficulty(board, order, given.difficulties)
    if given.weights is None:
        weights = fitted(board, difficulty, given.gamed)
        if weights is None:
            raise ValueError("a fit needs five verdicts, and `output_1` and `output_2` in every row; restore them")
    else:
        weights = given.weights.get(model) or given.weights.get(board.model or "")
        if weights is None:
            raise ValueError(
                f"{model} is none of the {len(given.weights):,} models that have weights, e.g. "
                f"{next(iter(given.weights))}; add its row, or fit it with --gamed"
            )
    found = weights.predicted(difficulty)
    return {"lc_win_rate": found.percent, "lc_standard_error": found.standard_error, "lc_from": given.source}


def _difficulty(board: Board, order: Sequence[str] | None, difficulties: dict[int, float]) -> Floats:
    """Return the difficulty of each row, by the place of its instruction in the evaluation set.

    `order` has the set's instructions, as the model's outputs or another model's annotations have them.

    Raises:
        ValueError: a row's place is not known, or has no difficulty.
    """
    n, known = len(board.instructions), len(difficulties)
    places: Sequence[int]
    if board.indices is not None:
        places = board.indices
    elif n >= known:
        places = range(n)
    elif order is not None and len(order) == known and set(board.instructions) <= set(order):
        place_of = {text: place for place, text in enumerate(order)}
        places = [place_of[text] for text in board.instructions]
    else:
        raise ValueError(
            f"it has {n:,} rows and there are difficulties of {known:,} instructions, and the rows do not tell which "
            f"ones are missing; add the model's {OUTPUTS} with all instructions beside it, another model's "
            f"{ANNOTATIONS} with all rows, or an `index` to each row"
        )
    lacking = [
        (text, place) for text, place in zip(board.instructions, places, strict=True) if place not in difficulties
    ]
    if lacking:
        text, place = lacking[0]
        raise ValueError(
            f"{len(lacking):,} of its {n:,} instructions have no difficulty, e.g. index {place}, {shown(text)}; "
            "complete the file of difficulties"
        )
    return np.array([difficulties[place] for place in places])


def _rounded(row: Row) -> Row:
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in row.items()}
