"""Declared tables by name, and suggestions for mistyped names."""

from collections.abc import Iterable
from difflib import get_close_matches

from jobs.errors import JobError
from schemas import BY_NAME
from schemas.table import Table


def suggestion(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Return `; did you mean gold.curated?` if a known name has at least this likeness (0 to 1), else an empty text."""
    matches = get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"; did you mean {matches[0]}?" if matches else ""


def table_named(name: str) -> Table:
    """Return the declared table of that name.

    Raises:
        JobError: there is none; the message names the most similar table, or else all.
    """
    if name not in BY_NAME:
        raise JobError(f"{name}: no such table{suggestion(name, BY_NAME) or '; the lake has ' + ', '.join(BY_NAME)}")
    return BY_NAME[name]
