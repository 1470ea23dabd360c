"""The formats of source files: by which suffixes each is known, where a file may be divided, how a part is read.

A part is a range of bytes. The parts of a file give all its records, each of them once: a record belongs to
the part that it begins in. Where a part begins is never told by what lies there, which a page may have
written, but by where the records before it end, from the beginning of the file.
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
    """How files with some suffixes are read."""

    suffixes: tuple[str, ...]
    read: Callable[[BinaryIO, Part, int, Columns], Found]
    """The records of a part, one in memory at a time; `int` is the most bytes that a page or text may have."""
    starts: Starts
    """The places at which a file may be divided: the first one in each so many bytes, but for the file's beginning."""


def _exactly(read: Callable[[BinaryIO, int, int, int], Found], starts: Starts) -> Callable[..., Found]:
    """A reader of any part, made of one for a part that begins and ends where records begin."""

    def read_part(stream: BinaryIO, part: Part, max_bytes: int, columns: Columns) -> Found:
        bounds = part if part.is_exact else _exact(part, stream, starts)
        if bounds:
            yield from read(stream, max_bytes, bounds.start, bounds.end)

    return read_part


def _exact(part: Part, stream: BinaryIO, starts: Starts) -> Part | None:
    """The part from the first record that begins in it to the first after it; None where none begins in it."""
    size = stream.seek(0, 2)
    if part.start == 0 and part.end >= size:
        return part
    places = [0, *starts(stream, 1), size]
    first, last = (next(place for place in places if place >= min(bound, size)) for bound in part[:2])
    return Part(first, last) if first < last else None


WARC = SourceFormat(
    (".warc", ".warc.gz", ".warc.zst", ".warc.wet", ".warc.wet.gz", ".arc", ".arc.gz"),  # ARC, to be named
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
    """The format that a file's name tells; WARC for a name that tells none."""
    return next((known for known in FORMATS if path.endswith(known.suffixes)), WARC)
