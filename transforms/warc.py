"""A WARC file as a stream of records, read so that damage in one place costs only that place.

FastWARC reads the records; `quirks_mode` makes it accept LF-only headers, `WARC/0.18` and lengths
that are too small (ClueWeb09), `parse_http=False` keeps it from eating bodies as headers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

HTTP_HEADER_BYTES = 64 * 2**10  # what a record may hold beside the page itself
OVERRUN_BYTES = 1024  # how near its end a record may hold the start of the next one
GZIP_MAGIC = b"\x1f\x8b\x08"
VERSION = re.compile(rb"\r?\nWARC/[01]\.\d{1,2}\r?\n")
PAGES = WarcRecordType.response | WarcRecordType.resource


@dataclass(frozen=True)
class Record:
    """A response or resource record, read whole."""

    offset: int
    url: str
    date: datetime | None
    source_id: str
    content_type: str
    identified_type: str
    block: bytes


@dataclass(frozen=True)
class Defect:
    """A place in the file that could not be read, named by the rule it breaks."""

    offset: int
    rule: str
    detail: str


class NotWarcError(ValueError):
    """A file in which not one WARC record could be found."""


def read_records(stream: BinaryIO, max_bytes: int) -> Iterator[Record | Defect]:
    """The response and resource records of a WARC file, plain or gzipped, one in memory at a time.

    Every other record that is whole is passed over; every one that is not becomes a `Defect`.
    `max_bytes` bounds the page within a record.

    Raises:
        NotWarcError: the file holds no record at all.
    """
    start: int | None = 0
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
            start = _next_start(stream, last + 1)
            if n_records > n_before:  # else the same damage goes on
                yield found
            damage = damage or found
    if not n_records:
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
    )


def parse_date(text: str) -> datetime | None:
    """A WARC date in UTC, to the second or finer; None where it is impossible, as ClueWeb09's often are."""
    try:
        date = datetime.fromisoformat(text.strip())
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _next_start(stream: BinaryIO, after: int) -> int | None:
    """Where the next record may begin at or after a position: a gzip member, or a version line."""
    stream.seek(0)
    packed = stream.read(2) == GZIP_MAGIC[:2]
    stream.seek(after)
    at, tail = after, b""
    while data := stream.read(2**20):
        window = tail + data
        if packed:
            found = window.find(GZIP_MAGIC)
        else:
            match = VERSION.search(window)
            found = match.start() + len(match[0]) - len(match[0].lstrip()) if match else -1
        if found >= 0:
            return at - len(tail) + found
        tail = window[-16:]
        at += len(data)
    return None
