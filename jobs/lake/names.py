"""What a mistyped name was meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

from jobs.errors import JobError
from schemas import BY_NAME
from schemas.table import Table


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean gold.curated?` where a known name is like this one, else nothing."""
    found = get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def table_named(name: str) -> Table:
    """The declared table of that name.

    Raises:
        JobError: there is none; names the nearest, or all.
    """
    if name not in BY_NAME:
        raise JobError(f"{name}: no such table{meant(name, BY_NAME) or '; the lake has ' + ', '.join(BY_NAME)}")
    return BY_NAME[name]
