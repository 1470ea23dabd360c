"""The formats of source files: by which suffixes each is known, and how a part of a file is read.

A part is a range of bytes. The parts of a file give all its records, each of them once: a record
belongs to the part that it begins in, whatever "begins" means for the format. So tasks can be
planned without opening a file, and a file that can't be divided is read whole in its first part.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from transforms.crawl import clueweb22, members, warc
from transforms.crawl.jsonl import read_jsonl
from transforms.crawl.parquet import read_parquet
from transforms.crawl.records import Columns, Defect, Part, Record

Found = Iterator[Record | Defect]


@dataclass(frozen=True)
class SourceFormat:
    """How files with some suffixes are read."""

    suffixes: tuple[str, ...]
    read: Callable[[BinaryIO, Part, int, Columns], Found]
    """The records of a part, one in memory at a time; `int` is the most bytes that a page or text may have."""


def _by_members(read: Callable[[BinaryIO, int, int, int], Found], opening: bytes) -> Callable[..., Found]:
    """A reader of the members that begin in a part, for formats whose members open with certain bytes."""

    def read_part(stream: BinaryIO, part: Part, max_bytes: int, columns: Columns) -> Found:
        if bounds := members.members_of_part(stream, part.start, part.end, opening):
            yield from read(stream, max_bytes, *bounds)

    return read_part


WARC = SourceFormat(
    (".warc", ".warc.gz", ".warc.zst", ".warc.wet", ".warc.wet.gz", ".arc", ".arc.gz"),  # ARC, to be named
    _by_members(warc.read_records, b"WARC/"),
)
FORMATS = (
    WARC,
    SourceFormat((".json.gz",), _by_members(clueweb22.read_texts, clueweb22.OPENING)),
    SourceFormat((".parquet",), read_parquet),
    SourceFormat((".jsonl", ".jsonl.gz", ".jsonl.zst"), read_jsonl),
)
SUFFIXES = tuple(suffix for known in FORMATS for suffix in known.suffixes)


def format_of(path: str) -> SourceFormat:
    """The format that a file's name tells; WARC for a name that tells none."""
    return next((known for known in FORMATS if path.endswith(known.suffixes)), WARC)
