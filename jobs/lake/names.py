"""What a mistyped name was meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

from jobs.errors import JobError
from schemas import BY_NAME
from schemas.table import Table


def meant(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """`; did you mean gold.curated?` where a known name is at least so much like this one (0 to 1), else nothing."""
    found = get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"; did you mean {found[0]}?" if found else ""


def table_named(name: str) -> Table:
    """The declared table of that name.

    Raises:
        JobError: there is none; names the nearest, or all.
    """
    if name not in BY_NAME:
        raise JobError(f"{name}: no such table{meant(name, BY_NAME) or '; the lake has ' + ', '.join(BY_NAME)}")
    return BY_NAME[name]
