"""The answer to a query as plain values, independent of the engine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql.types import Row

if TYPE_CHECKING:  # read-only commands need no session
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Rows:
    """Columns, whose names may repeat, and the rows' values in that order; the rows can be iterated once.

    A value is None, a bool, number, text, bytes, date or datetime (UTC, without a zone), or a list or dict of these.
    """

    columns: Sequence[str]
    values: Iterable[Sequence[Any]]


def rows_of_dicts(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Convert dictionaries to rows of the named columns."""
    return Rows(columns, ([row[name] for name in columns] for row in rows))


def rows_of_frame(frame: "DataFrame", limit: int | None = None) -> Rows:
    """Fetch a frame's rows, at most `limit`, with one partition in memory at a time."""
    return Rows(frame.columns, _fetched(frame if limit is None else frame.limit(limit)))


def _fetched(frame: "DataFrame") -> Iterator[list[Any]]:
    for row in frame.toLocalIterator():
        yield [_plain(value) for value in row]


def _plain(value: Any) -> Any:
    """Convert a value with Spark's rows to dictionaries and lists."""
    if isinstance(value, Row):
        return {name: _plain(item) for name, item in zip(value.__fields__, value, strict=True)}
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
