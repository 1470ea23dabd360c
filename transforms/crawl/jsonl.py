"""Read texts from JSON lines, one object per line: plain, gzip or Zstandard.

A line's place in a plain file is its byte offset. A compressed file is read whole, as its first part; there the
place is the line number, from 1, which after damage does not count lost lines.
"""

import io
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from transforms.crawl.members import MemberError, next_member, packing, reaches_end, without_bombs
from transforms.crawl.records import INSIDE, Columns, Defect, Part, Record, UnreadableError
from transforms.crawl.texts import columns_missing, text_record

ESCAPED = 3  # JSON in ASCII writes a character of two bytes in six
OTHER_BYTES = 2**20  # allowed in a line in addition to its text
SKIPPED = 2**16
PROBED = 1000  # a part is refused if its first 1,000 lines lack the columns


def read_jsonl(stream: BinaryIO, part: Part, max_bytes: int, columns: Columns) -> Iterator[Record | Defect]:
    """Yield the texts of the lines that begin in a part of a file; a line without a text is a `Defect`.

    Raises:
        UnreadableError: the part's first lines are not objects with the columns.
    """
    early: list[Defect] | None = []
    keys: dict[str, None] = {}  # of the objects in those lines, in order
    for place, line in _lines(stream, part, ESCAPED * max_bytes + OTHER_BYTES):
        row = line if isinstance(line, Defect) else _object(place, line)
        record = row if isinstance(row, Defect) else text_record(place, row, columns)
        if early is None:
            yield record
        elif not isinstance(row, Defect) and columns.url in row and columns.text in row:
            yield from early
            yield record
            early = None
        else:
            assert isinstance(record, Defect)
            early.append(record)
            keys |= dict.fromkeys(() if isinstance(row, Defect) else row)
            if len(early) == PROBED:
                break
    is_probed = early is not None and len(early) == PROBED
    if keys and early and (is_probed or part.start == 0):  # a later part may be short and entirely broken
        raise columns_missing(columns, keys)
    if early and is_probed:
        raise UnreadableError(f"none of {PROBED:,} lines is a JSON object; the first: {early[0].detail}")
    yield from early or ()


def line_starts(stream: BinaryIO, step: int) -> Iterator[int]:
    """Yield the offsets at which a file may be split: any in a plain file, since JSON strings hold no line breaks."""
    if not packing(stream):
        yield from range(step, stream.seek(0, os.SEEK_END), step)


def _object(place: int, line: bytes) -> dict[str, Any] | Defect:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Defect(place, "broken_record", f"not JSON: {type(error).__name__}: {error}")
    return value if isinstance(value, dict) else Defect(place, "broken_record", "not a JSON object")


def _lines(stream: BinaryIO, part: Part, longest: int) -> Iterator[tuple[int, bytes | Defect]]:
    """Yield each non-blank line that begins in a part, with its place."""
    lines: Iterator[tuple[int, bytes | Defect | None]]
    if not packing(stream):
        lines = _plain_lines(stream, part, longest)
    elif part.start == 0:
        lines = _unpacked_lines(stream, longest)
    else:
        return
    for place, line in lines:
        if line is None:
            yield place, Defect(place, "too_large", f"a line of more than {longest:,} bytes")
        elif isinstance(line, Defect) or line.strip():
            yield place, line


def _plain_lines(stream: BinaryIO, part: Part, longest: int) -> Iterator[tuple[int, bytes | Defect | None]]:
    stream.seek(max(part.start - 1, 0))
    if part.start:
        _end_line(stream, part.end)  # this line begins in an earlier part
    while (place := stream.tell()) < part.end and (line := _line(stream, longest)) != b"":
        yield place, line


def _unpacked_lines(stream: BinaryIO, longest: int) -> Iterator[tuple[int, bytes | Defect | None]]:
    """Yield the lines of a compressed file; after damage, those from the next member that begins with an object.

    Lines after damage count only if all members from there to the end of the file are whole: a text could be
    crafted so that its compressed form contains a member.
    """
    size = stream.seek(0, os.SEEK_END)
    start: int | None = 0
    number, is_proved = 1, True
    while start is not None:
        lines = io.BufferedReader(_Chunks(without_bombs(stream, start, size)))
        start = None
        try:
            while (line := _line(lines, longest)) != b"":
                yield number, line if is_proved else Defect(number, INSIDE, "found after damage")
                number += 1
        except MemberError as error:
            yield number, Defect(number, error.rule, f"in the member at byte {error.offset:,}: {error}")
            number += 1
            start = next_member(stream, error.offset + 1, b"{")
            is_proved = start is not None and not error.is_cut and reaches_end(stream, start)


def _line(stream: io.BufferedIOBase | BinaryIO, longest: int) -> bytes | None:
    """Read the next line; return None if it is longer than `longest` bytes, and empty bytes at the end."""
    line = stream.readline(longest + 1)
    if len(line) <= longest:
        return line
    if not line.endswith(b"\n"):
        _end_line(stream)
    return None


def _end_line(stream: io.BufferedIOBase | BinaryIO, end: int | None = None) -> None:
    """Skip the rest of a line, at most until the position reaches `end`."""
    while (line := stream.readline(SKIPPED)) and not line.endswith(b"\n"):
        if end is not None and stream.tell() >= end:
            return


class _Chunks(io.RawIOBase):
    """A raw stream over chunks of bytes."""

    def __init__(self, chunks: Iterator[tuple[int, bytes]]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece[1])
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n
