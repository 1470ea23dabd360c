"""The formats of source files: suffixes, split points and the reader of a part.

A part is a range of bytes. The parts of a file yield each of its records once: a record belongs to
the part in which it begins. A part's first record is never found by the bytes there, which a page may have
written, but from the ends of the records before it, from the beginning of the file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from transforms.crawl import clueweb22, jsonl, parquet, warc
from transforms.crawl.records import Columns, Defect, Part, Record

Found = Iterator[Record | Defect]
Starts = Callable[[BinaryIO, int], Iterator[int]]


@dataclass(frozen=True)
class SourceFormat:
    """The suffixes of a file format and the functions that read and split such files."""

    suffixes: tuple[str, ...]
    read: Callable[[BinaryIO, Part, int, Columns], Found]
    """Yields the records of a part, one in memory at a time; `int` is the maximum size of a page or text in bytes."""
    starts: Starts
    """Yields the offsets at which a file may be split, the first in each step of `int` bytes, without offset 0."""


def _exactly(read: Callable[[BinaryIO, int, int, int], Found], starts: Starts) -> Callable[..., Found]:
    """Make a reader of any part from a reader of parts whose bounds are starts of records."""

    def read_part(stream: BinaryIO, part: Part, max_bytes: int, columns: Columns) -> Found:
        bounds = part if part.is_exact else _exact(part, stream, starts)
        if bounds:
            yield from read(stream, max_bytes, bounds.start, bounds.end)

    return read_part


def _exact(part: Part, stream: BinaryIO, starts: Starts) -> Part | None:
    """Return the part from the first record that begins in it to the first after it; None if no record begins in it."""
    size = stream.seek(0, 2)
    if part.start == 0 and part.end >= size:
        return part
    places = [0, *starts(stream, 1), size]
    first, last = (next(place for place in places if place >= min(bound, size)) for bound in part[:2])
    return Part(first, last) if first < last else None


WARC = SourceFormat(
    (".warc", ".warc.gz", ".warc.zst", ".warc.wet", ".warc.wet.gz", ".arc", ".arc.gz"),  # ARC, to be refused by name
    _exactly(warc.read_records, warc.record_starts),
    warc.record_starts,
)
FORMATS = (
    WARC,
    SourceFormat((".json.gz",), _exactly(clueweb22.read_texts, clueweb22.member_starts), clueweb22.member_starts),
    SourceFormat((".parquet",), parquet.read_parquet, parquet.row_group_starts),
    SourceFormat((".jsonl", ".jsonl.gz", ".jsonl.zst"), jsonl.read_jsonl, jsonl.line_starts),
)
SUFFIXES = tuple(suffix for known in FORMATS for suffix in known.suffixes)


def format_of(path: str) -> SourceFormat:
    """Return the format for a file's suffix; WARC for an unknown suffix."""
    return next((known for known in FORMATS if path.endswith(known.suffixes)), WARC)
