"""The current methods of experiments as their runs noted them, for commands without a recipe or the files it names."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from jobs.lake.view import LakeView

NONE = "none"
"""Placeholder for a digest or model that no run has noted; no row has this value."""
BASE = "base"
"""Key in `Notes` of the base model, and the beginning of its id."""
Notes = Mapping[tuple[str, str], str]
"""(experiment, name of a table, scorer, evaluation or model) -> the current method digest or model id."""


def scorer_method(name: str) -> str:
    """Return a scorer's key in `Notes`, such as `scores/rubric`."""
    return f"scores/{name}"


def evaluation_method(name: str) -> str:
    """Return an evaluation's key in `Notes`, such as `evaluations/held_out_loss`."""
    return f"evaluations/{name}"


def part_method(table: str, part: str) -> str:
    """Return the key in `Notes` of one evaluation's rows in a table, such as `gold.generations/vicuna`."""
    return f"{table}/{part}"


def methods_of_table(notes: Notes, experiment: str, table: str) -> list[str]:
    """Return the current methods of a table: one, or one for each evaluation.

    Release 0.3.0 and before noted one for all tables.
    """
    parts = [digest for (of, name), digest in notes.items() if of == experiment and name.startswith(f"{table}/")]
    return parts or [notes[experiment, table]] if parts or (experiment, table) in notes else []


def model_name(direction: str, iteration: int) -> str:
    """Return a model's key in `Notes`, such as `forward-1`."""
    return f"{direction}-{iteration}"


LAST_EXPERIMENT = "SELECT experiment FROM ops.runs WHERE experiment <> '' ORDER BY started_at DESC LIMIT 1"


def last_experiment(view: LakeView) -> str | None:
    """Return the name of the experiment that ran last; None if none has run."""
    rows = view.rows(LAST_EXPERIMENT)
    return str(rows[0]["experiment"]) if rows else None


def noted(view: LakeView) -> Notes:
    """Read the current methods from the successful runs of a lake."""
    query = "SELECT experiment, started_at, methods FROM ops.runs WHERE status = 'ok' AND methods IS NOT NULL"
    return last_noted(view.rows(query))


def last_noted(runs: Iterable[Mapping[str, Any]]) -> Notes:
    """Return each name's newest note among rows of `ops.runs`, all of successful runs."""
    newest: dict[tuple[str, str], tuple[datetime, str]] = {}
    for run in runs:
        for name, value in (run["methods"] or {}).items():
            key, note = (run["experiment"], name), (run["started_at"], value)
            newest[key] = max(note, newest.get(key, note))
    return {key: value for key, (_, value) in newest.items()}
