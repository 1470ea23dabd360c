"""Rows as a command prints them: aligned or as JSON, and inert in a terminal."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

from jobs.cli.printing import as_json_lines, as_text
from jobs.lake.rows import Rows


def test_rows_print_as_an_aligned_table_without_terminal_escapes() -> None:
    rows = [("a\x1b[31m\nb", 1, True), ("x" * 200, 22, None), (None, None, None)]
    lines = list(as_text(Rows(("text", "n", "is"), rows), max_rows=2))
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[0].split() == ["text", "n", "is"]
    assert lines[1].startswith("a [31m b ")
    assert lines[1].endswith("  1 True")
    assert lines[2].rstrip().endswith("… 22")
    assert lines[3] == "(the first 2 rows; there are more)"
    assert list(as_text(Rows(("text",), []))) == ["(no rows)"]


def test_json_lines_hold_no_terminal_escapes() -> None:
    [line] = as_json_lines(Rows(("text",), [("\x9b31m\u202e!",)]))
    assert line == '{"text":"\\u009b31m\\u202e!"}'


def test_json_lines_hold_every_kind_of_value() -> None:
    values = {
        "text": "a\x1b\n", "none": None, "map": {1: 2, "k": [None]}, "time": datetime(2026, 1, 2, 3, 4, 5, 678000),
        "day": date(2026, 1, 2), "whole": Decimal("7"), "part": Decimal("0.5"), "nan": float("nan"), "is": True,
        "least": float("-inf"), "bytes": b"\xff", "struct": {"a": {"b": 1.5}}, "here": datetime(2026, 1, 2, tzinfo=UTC),
    }  # fmt: skip
    [line] = as_json_lines(Rows([*values], [[*values.values()]]))
    assert json.loads(line) == {
        "text": "a\x1b\n", "none": None, "map": {"1": 2, "k": [None]}, "time": "2026-01-02T03:04:05.678Z",
        "day": "2026-01-02", "whole": 7, "part": 0.5, "nan": "NaN", "is": True, "least": "-Infinity", "bytes": "/w==",
        "struct": {"a": {"b": 1.5}}, "here": "2026-01-02T00:00:00.000Z",
    }  # fmt: skip


def test_duplicate_column_names_are_kept() -> None:
    assert [*as_json_lines(Rows(("a", "a"), [(1, 2)]))] == ['{"a":1,"a":2}']
