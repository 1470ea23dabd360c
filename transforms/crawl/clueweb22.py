"""Read ClueWeb22's text files (`.json.gz`): one JSON object per line, in one gzip member each or one for all."""

import json
import os
from collections.abc import Iterator
from typing import BinaryIO

from transforms.crawl.members import MemberError, next_member, reaches_end, unpacked, without_bombs
from transforms.crawl.records import INSIDE, Defect, NotWarcError, Record

OPENING = b"{"  # the first byte in a gzip member


def read_texts(stream: BinaryIO, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Record | Defect]:
    """Yield the texts of a file as records without markup; a line without a text is a `Defect`.

    Raises:
        NotWarcError: no line of the file has a text.
    """
    n_texts = 0
    for offset, line in _lines(stream, max_bytes, start, end):
        record = line if isinstance(line, Defect) else _record(offset, line)
        n_texts += isinstance(record, Record)
        yield record
    if not n_texts:
        raise NotWarcError("no line is a ClueWeb22 text, an object with URL, ClueWeb22-ID and Clean-Text")


def member_starts(stream: BinaryIO, step: int) -> Iterator[int]:
    """Yield the offsets at which a file may be split: the first member in each `step` bytes, up to the first damage."""
    after = step
    try:
        for place, _ in unpacked(stream, 0, stream.seek(0, os.SEEK_END)):
            if place >= after:
                yield place
                after = place // step * step + step
    except MemberError:
        return


def _record(offset: int, line: bytes) -> Record | Defect:
    try:
        value = json.loads(line)
        url, source_id, text = (value[key] for key in ("URL", "ClueWeb22-ID", "Clean-Text"))
        block = text.encode("utf-8", errors="surrogatepass")
        f"{url}{source_id}".encode()  # no lone surrogates: these two are stored as they are
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Defect(offset, "broken_record", f"not a ClueWeb22 text: {type(error).__name__}: {error}")
    return Record(offset, str(url).strip(), None, str(source_id), "text/plain", "text/plain", block, is_text=True)


def _lines(
    stream: BinaryIO, max_bytes: int, start: int | None, end: int | None
) -> Iterator[tuple[int, bytes | Defect]]:
    """Yield each line with the offset of its gzip member; a line of more than `max_bytes` is a `Defect`.

    Lines after damage count only if all members from there to the end of the file are whole.
    """
    end = stream.seek(0, os.SEEK_END) if end is None else end
    is_proved = True
    while start is not None and start < end:
        try:
            for place, line in _lines_to_damage(stream, max_bytes, start, end):
                yield place, line if is_proved else Defect(place, INSIDE, "found after damage")
            return
        except MemberError as error:
            yield error.offset, Defect(error.offset, error.rule, str(error))
            start = next_member(stream, error.offset + 1, OPENING)
            is_proved = start is not None and not error.is_cut and reaches_end(stream, start)


def _lines_to_damage(stream: BinaryIO, max_bytes: int, start: int, end: int) -> Iterator[tuple[int, bytes | Defect]]:
    line, skipping, member = bytearray(), False, start
    for place, data in without_bombs(stream, start, end):
        if place != member:
            if line.strip():
                yield member, bytes(line)
            line, skipping, member = bytearray(), False, place
        *whole, rest = data.split(b"\n")
        for piece in whole:
            if not skipping and (line or piece.strip()):
                yield place, bytes(line + piece)
            line, skipping = bytearray(), False
        line += rest
        if len(line) > max_bytes and not skipping:
            yield place, Defect(place, "too_large", f"a line of more than {max_bytes:,} bytes")
            skipping = True
        if skipping:
            line.clear()
    if line.strip():
        yield member, bytes(line)
