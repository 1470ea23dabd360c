"""Printing of rows: as an aligned table, or as JSON lines."""

import json
import math
import re
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from jobs.lake.rows import Rows

MAX_CELL = 80
MAX_ROWS = 1000

# Text of web pages is printed; a terminal must not receive its escape sequences.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")


def say(lines: Iterable[str]) -> None:
    """Write lines to stdout."""
    for line in lines:
        sys.stdout.write(line + "\n")


def say_rows(rows: Rows, as_json: bool) -> None:
    """Write rows to stdout, as a table or as JSON."""
    say(as_json_lines(rows) if as_json else as_text(rows))


def as_text(rows: Rows, max_rows: int = MAX_ROWS) -> Iterator[str]:
    """Yield the lines of an aligned table, numbers to the right; a last line says if there are more than `max_rows`."""
    fetched = list(islice(rows.values, max_rows + 1))
    shown = fetched[:max_rows]
    if not shown:
        yield "(no rows)"
        return
    columns = []
    for name, values in zip(rows.columns, zip(*shown, strict=True), strict=True):
        cells = [_cell(value) for value in values]
        width = max(map(len, (name, *cells)))
        is_number = all(value is None or _is_number(value) for value in values)
        columns.append([name.ljust(width), *(cell.rjust(width) if is_number else cell.ljust(width) for cell in cells)])
    yield from map(" ".join, zip(*columns, strict=True))
    if len(fetched) > max_rows:
        yield f"(the first {max_rows:,} rows; there are more)"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def plain(text: str) -> str:
    """Return the text on one line, without control characters that a terminal would interpret."""
    return _CONTROL.sub(" ", text)


def _cell(value: object) -> str:
    text = "" if value is None else plain(str(value))
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def as_json_lines(rows: Rows) -> Iterator[str]:
    """Yield every row as one JSON object, nulls included."""
    for values in rows.values:
        cells = (f"{_json(name)}:{_json(value)}" for name, value in zip(rows.columns, values, strict=True))
        yield _CONTROL.sub(_escaped, "{" + ",".join(cells) + "}")


def _json(value: object) -> str:
    return json.dumps(_as_json(value), ensure_ascii=False, separators=(",", ":"))


def _as_json(value: Any) -> Any:
    """Return a value in JSON's types; a time becomes text in UTC, in Spark's format."""
    if isinstance(value, dict):
        return {str(_as_json(key)): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
    if isinstance(value, float):
        return value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray)):
        return b64encode(value).decode()
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _escaped(match: re.Match[str]) -> str:
    """Return JSON escapes for characters that JSON allows unescaped and a terminal would interpret."""
    return "".join(f"\\u{ord(character):04x}" for character in match[0])
