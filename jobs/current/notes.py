"""What an experiment's runs have noted of its methods: for the looks, which have no recipe, or not its files."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from jobs.lake.view import LakeView

NONE = "none"
"""Stands for a digest or model that no run has noted: no row carries it."""
Notes = Mapping[tuple[str, str], str]
"""Experiment and table, scorer or model's name -> the method digest or model id that counts."""


def scorer_method(name: str) -> str:
    """A scorer's name among the methods: `scores/rubric`."""
    return f"scores/{name}"


def model_name(direction: str, iteration: int) -> str:
    """A model's name among the methods: `forward-1`."""
    return f"{direction}-{iteration}"


def noted(view: LakeView) -> Notes:
    """What counts by the runs of a lake."""
    ended = "SELECT experiment, started_at, methods FROM ops.runs WHERE status = 'ok' AND methods IS NOT NULL"
    return last_noted(view.rows(ended))


def last_noted(runs: Iterable[Mapping[str, Any]]) -> Notes:
    """For each name, what the last of some rows of `ops.runs` noted, all of runs that ended well."""
    newest: dict[tuple[str, str], tuple[datetime, str]] = {}
    for run in runs:
        for name, value in (run["methods"] or {}).items():
            place, note = (run["experiment"], name), (run["started_at"], value)
            newest[place] = max(note, newest.get(place, note))
    return {place: value for place, (_, value) in newest.items()}
