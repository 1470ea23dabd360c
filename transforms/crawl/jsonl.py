"""JSON lines of texts, plain, gzip or Zstandard: an object a line.

The place of a line in a plain file is its byte offset. A compressed file is read whole in its first
part; there the place is the line's number, from 1, after damage counted without the lines that are lost.
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
OTHER_BYTES = 2**20  # what a line may have beside its text
SKIPPED = 2**16
PROBED = 1000  # lines without the columns, one after the other from the start, and the file is none of texts


def read_jsonl(stream: BinaryIO, part: Part, max_bytes: int, columns: Columns) -> Iterator[Record | Defect]:
    """The texts of the lines that begin in a part of a file; a line that has none is a `Defect`.

    Raises:
        UnreadableError: the part's first lines are no objects with the columns.
    """
    early: list[Defect] | None = []
    keys: dict[str, None] = {}  # of the objects among those lines, in order
    for place, line in _lines(stream, part, ESCAPED * max_bytes + OTHER_BYTES):
        row = line if isinstance(line, Defect) else _object(place, line)
        found = row if isinstance(row, Defect) else text_record(place, row, columns)
        if early is None:
            yield found
        elif not isinstance(row, Defect) and columns.url in row and columns.text in row:
            yield from early
            yield found
            early = None
        else:
            assert isinstance(found, Defect)
            early.append(found)
            keys |= dict.fromkeys(() if isinstance(row, Defect) else row)
            if len(early) == PROBED:
                break
    is_probed = early is not None and len(early) == PROBED
    if keys and early and (is_probed or part.start == 0):  # a later part may be short, and all of it broken
        raise columns_missing(columns, keys)
    if early and is_probed:
        raise UnreadableError(f"none of {PROBED:,} lines is a JSON object; the first: {early[0].detail}")
    yield from early or ()


def line_starts(stream: BinaryIO, step: int) -> Iterator[int]:
    """The places at which a file may be divided: of a plain one any, since no text in JSON has a line break."""
    if not packing(stream):
        yield from range(step, stream.seek(0, os.SEEK_END), step)


def _object(place: int, line: bytes) -> dict[str, Any] | Defect:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Defect(place, "broken_record", f"no JSON: {type(error).__name__}: {error}")
    return value if isinstance(value, dict) else Defect(place, "broken_record", "no JSON object")


def _lines(stream: BinaryIO, part: Part, longest: int) -> Iterator[tuple[int, bytes | Defect]]:
    """Each line that begins in a part and is not blank, with its place."""
    found: Iterator[tuple[int, bytes | Defect | None]]
    if not packing(stream):
        found = _plain_lines(stream, part, longest)
    elif part.start == 0:
        found = _unpacked_lines(stream, longest)
    else:
        return
    for place, line in found:
        if line is None:
            yield place, Defect(place, "too_large", f"a line of more than {longest:,} bytes")
        elif isinstance(line, Defect) or line.strip():
            yield place, line


def _plain_lines(stream: BinaryIO, part: Part, longest: int) -> Iterator[tuple[int, bytes | Defect | None]]:
    stream.seek(max(part.start - 1, 0))
    if part.start:
        _end_line(stream, part.end)  # it begins in a part before
    while (place := stream.tell()) < part.end and (line := _line(stream, longest)) != b"":
        yield place, line


def _unpacked_lines(stream: BinaryIO, longest: int) -> Iterator[tuple[int, bytes | Defect | None]]:
    """The lines of a compressed file; after damage those from the next member on that begins with an object.

    They count only if from there on all is whole to the end of the file: a text could be made to pack to a member.
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
    """The next line, None for one that is too long, empty at the end."""
    line = stream.readline(longest + 1)
    if len(line) <= longest:
        return line
    if not line.endswith(b"\n"):
        _end_line(stream)
    return None


def _end_line(stream: io.BufferedIOBase | BinaryIO, end: int | None = None) -> None:
    """Pass over the rest of a line, or so much of it that the next one can't begin before `end`."""
    while (line := stream.readline(SKIPPED)) and not line.endswith(b"\n"):
        if end is not None and stream.tell() >= end:
            return


class _Chunks(io.RawIOBase):
    """Pieces of bytes as a stream."""

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
