"""Rows as the lines that a command prints."""

import re
from collections.abc import Iterator

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType

MAX_CELL = 80

# Page text reaches the terminal here: escape sequences in it must not.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")


def as_text(frame: DataFrame, max_rows: int = 1000) -> Iterator[str]:
    """The rows as the lines of an aligned table; says so where there are more than `max_rows`."""
    rows = [[_cell(value) for value in row] for row in frame.limit(max_rows + 1).collect()]
    more = len(rows) > max_rows
    if not rows:
        yield "(no rows)"
        return
    cells = pd.DataFrame(rows[:max_rows])
    for place, field in enumerate(frame.schema):
        if not isinstance(field.dataType, NumericType):
            width = max(len(field.name), int(cells[place].str.len().max()))
            cells[place] = cells[place].str.ljust(width)
    yield from cells.to_string(index=False, header=frame.columns, justify="left").splitlines()
    if more:
        yield f"(the first {max_rows:,} rows; there are more)"


def plain(text: str) -> str:
    """The text on one line, with no sequence in it that a terminal would obey."""
    return _CONTROL.sub(" ", text)


def _cell(value: object) -> str:
    text = "" if value is None else plain(str(value))
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def as_json_lines(frame: DataFrame) -> Iterator[str]:
    """Every row as one JSON object, nulls included, one partition in memory at a time."""
    line = F.to_json(F.struct("*"), {"ignoreNullFields": "false"}).alias("line")
    for row in frame.select(line).toLocalIterator():
        yield _CONTROL.sub(_escaped, row.line)


def _escaped(found: re.Match[str]) -> str:
    """What JSON may hold as it is and a terminal would obey, as JSON writes it otherwise."""
    return "".join(f"\\u{ord(character):04x}" for character in found[0])
