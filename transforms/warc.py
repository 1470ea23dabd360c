"""A WARC file as a stream of records, read so that damage in one place costs only that place.

FastWARC reads the records; `quirks_mode` makes it accept LF-only headers, `WARC/0.18` and lengths
that are too small (ClueWeb09), `parse_http=False` keeps it from eating bodies as headers.
"""

import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

HTTP_HEADER_BYTES = 64 * 2**10  # what a record may hold beside the page itself
OVERRUN_BYTES = 1024  # how near its end a record may hold the start of the next one
GZIP, ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
ARC = b"filedesc://"
VERSION = re.compile(rb"\r?\nWARC/[01]\.\d{1,2}\r?\n")
PAGES = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion


@dataclass(frozen=True)
class Record:
    """A response, resource or conversion record, read whole; `offset` is where its compressed member begins."""

    offset: int
    url: str
    date: datetime | None
    source_id: str
    content_type: str
    identified_type: str
    block: bytes
    is_text: bool = False  # what a crawl has taken from a page: no HTTP, no markup


@dataclass(frozen=True)
class Defect:
    """A place in the file that could not be read, named by the rule it breaks."""

    offset: int
    rule: str
    detail: str


class NotWarcError(ValueError):
    """A file in which not one WARC record could be found."""


class Part:
    """The bytes of a file up to `end`, at their places in the file."""

    def __init__(self, stream: BinaryIO, end: int) -> None:
        """`stream` is read and moved on the caller's behalf."""
        self._stream, self._end = stream, end
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none from `end` on."""
        left = max(0, self._end - self._stream.tell())
        return self._stream.read(left if size < 0 else min(size, left))

    def close(self) -> None:
        """Nothing: the stream is the caller's."""


def records_of_part(stream: BinaryIO, max_bytes: int, start: int, end: int) -> Iterator[Record | Defect]:
    """What `read_records` gives for the gzip members that begin in `start` to `end` of a file.

    The parts of a file give all its records, each of them once: a part begins at the first member
    after `start` that opens with a WARC version, and ends where the next part begins.
    """
    first = next_member(stream, start) if start else 0
    last = next_member(stream, end)
    if first is not None and (last is None or first < last):
        whole = Part(stream, last if last is not None else stream.seek(0, os.SEEK_END))
        yield from read_records(whole, max_bytes, first)


def read_records(stream: BinaryIO | Part, max_bytes: int, start: int | None = 0) -> Iterator[Record | Defect]:
    """The page records of a WARC file, plain, gzip or Zstandard, one in memory at a time.

    Every other record that is whole is passed over; every one that is not becomes a `Defect`.
    `max_bytes` bounds the page within a record.

    Raises:
        NotWarcError: the file holds no record at all.
    """
    n_records = 0
    damage: Defect | None = None
    while start is not None:
        stream.seek(start)
        last, n_before = start, n_records
        try:
            for record in ArchiveIterator(stream, parse_http=False, strict_mode=False, quirks_mode=True):
                if damage and not n_records:  # with a record after it, this is a WARC file after all
                    yield damage
                last = max(last, record.stream_pos)
                n_records += 1
                yield from _read(record, max_bytes)
            start = None
        except OSError as error:
            found = Defect(last, "broken_record", f"at or after this place: {error}")
            start = next_member(stream, last + 1)
            if n_records > n_before:  # else the same damage goes on
                yield found
            damage = damage or found
    if not n_records:
        if _head(stream, 0).startswith(ARC):
            raise NotWarcError("an ARC file, the format before WARC: convert it with `warcio recompress`")
        raise NotWarcError(damage.detail if damage else "it holds no WARC record")


def _read(record: WarcRecord, max_bytes: int) -> Iterator[Record | Defect]:
    offset = record.stream_pos
    header = record.headers.get("Content-Length")
    declared = int(header) if header is not None and header.strip().isdigit() else None
    is_page = record.record_type & PAGES
    if declared is None and record.record_type != WarcRecordType.warcinfo:  # ClueWeb22's has none
        yield Defect(offset, "broken_record", f"Content-Length is {header or 'missing'}")
        return
    if declared is not None and is_page and declared > max_bytes + HTTP_HEADER_BYTES:
        yield Defect(offset, "too_large", f"{declared:,} bytes declared, {max_bytes:,} allowed for a page")
        return
    if not is_page:
        have = record.consume()
        if declared is not None and have < declared:
            yield Defect(offset, "broken_record", f"{declared:,} bytes declared, only {have:,} there")
        return
    block = record.reader.read()
    assert declared is not None
    if len(block) < declared:
        yield Defect(offset, "broken_record", f"{declared:,} bytes declared, only {len(block):,} there")
        return
    overrun = VERSION.search(block, max(0, len(block) - OVERRUN_BYTES))
    if overrun:
        block = block[: overrun.start()]
        yield Defect(offset, "broken_record", "its length reaches into the next record, which is lost")
    yield _record(record, offset, block)


def _record(record: WarcRecord, offset: int, block: bytes) -> Record:
    def header(name: str) -> str:
        return (record.headers.get(name) or "").strip()

    ids = (header(name) for name in ("WARC-TREC-ID", "ClueWeb22-ID", "WARC-Record-ID"))
    return Record(
        offset=offset,
        url=header("WARC-Target-URI").strip("<>").strip(),
        date=parse_date(header("WARC-Date")),
        source_id=next((i.strip("<>") for i in ids if i), f"record at {offset}"),
        content_type=header("Content-Type").lower(),
        identified_type=header("WARC-Identified-Payload-Type").partition(";")[0].strip().lower(),
        block=block,
        is_text=record.record_type == WarcRecordType.conversion,
    )


def parse_date(text: str) -> datetime | None:
    """A WARC date in UTC, to the second or finer; None where it is impossible, as ClueWeb09's often are."""
    try:
        date = datetime.fromisoformat(text.strip())
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def next_member(stream: BinaryIO | Part, after: int, opening: bytes = b"WARC/") -> int | None:
    """Where the next record may begin at or after a position: a compressed member, or a version line.

    A gzip member's magic number comes by chance once in 16 MiB, so it must open with `opening`.
    """
    stream.seek(0)
    head = stream.read(4)
    magic = next((m for m in (GZIP, ZSTD) if head.startswith(m[: len(head)] if head else m)), None)
    at, tail = after, b""
    stream.seek(after)
    while data := stream.read(2**20):
        window = tail + data
        starts = re.finditer(re.escape(magic), window) if magic else VERSION.finditer(window)
        for found in starts:
            # A version line begins after the line break that ends the record before it.
            place = at - len(tail) + found.start() + (0 if magic else len(found[0]) - len(found[0].lstrip()))
            if magic != GZIP or _head(stream, place).startswith(opening):
                return place
        at += len(data)
        tail = window[-16:]
        stream.seek(at)
    return None


def _head(stream: BinaryIO | Part, place: int) -> bytes:
    """The first bytes of what lies at a place, unpacked if it is a gzip member; none if that can't be unpacked."""
    stream.seek(place)
    data = stream.read(1024)
    if not data.startswith(GZIP):
        return data
    try:
        return zlib.decompressobj(31).decompress(data, 64).lstrip()
    except zlib.error:
        return b""
