"""A WARC file as a stream of records, read so that damage in one place costs only that place.

A record begins with a version and a field, and where its length says that it ends only line breaks
and the next record may follow. All else is a `Defect`, and reading begins anew at the next record.
"""

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from transforms.crawl.members import RECORD, next_member
from transforms.crawl.records import Defect, NotWarcError, Record, parse_date
from transforms.crawl.unpacked import Unpacked

HTTP_HEADER_BYTES = 64 * 2**10  # what a record may hold beside the page itself
HEADER_BYTES = 64 * 2**10
ARC = b"filedesc://"
END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(r"[0-9]{1,15}")
FIELD = re.compile(rb"^([A-Za-z0-9-]+)[ \t]*:(.*)$", re.MULTILINE)
FOLDED = re.compile(rb"\r?\n[ \t]+")
TORN = re.compile(rb"\r?\n(?![A-Za-z0-9-]+[ \t]*:|[\r\n]|\Z)")  # a raw line break in a value (ClueWeb09)
PAGES = {"response", "resource", "conversion"}
OTHERS = {"warcinfo", "request", "metadata", "revisit", "continuation"}


def read_records(
    stream: BinaryIO, max_bytes: int, start: int | None = 0, end: int | None = None
) -> Iterator[Record | Defect]:
    """The page records of a WARC file, plain, gzip or Zstandard, one in memory at a time.

    Every other record that is whole is passed over; every one that is not becomes a `Defect`.
    `max_bytes` bounds the page within a record; `start` and `end` are those of `members_of_part`.

    Raises:
        NotWarcError: the file holds no record at all.
    """
    end = stream.seek(0, os.SEEK_END) if end is None else end
    early: list[Defect] | None = []  # with a record after them, this is a WARC file after all
    while start is not None and start < end:
        data = Unpacked(stream, start, end)
        for found in _records(data, max_bytes):
            if early is not None and isinstance(found, Defect):
                early.append(found)
                continue
            yield from early or ()
            early = None
            if found is not None:
                yield found
        start = next_member(stream, data.damage.offset + 1) if data.damage else None
    if early is not None:
        raise NotWarcError(_why_not(stream, early))


def _why_not(stream: BinaryIO, early: list[Defect]) -> str:
    head = Unpacked(stream, 0, stream.seek(0, os.SEEK_END))
    head.fill(len(ARC))
    if head.bytes.startswith(ARC):
        return "an ARC file, the format before WARC: convert it with `warcio recompress`"
    return early[0].detail if early else "it holds no WARC record"


def _records(data: Unpacked, max_bytes: int) -> Iterator[Record | Defect | None]:
    """Each record and defect up to the first damage; None where a record begins."""
    found: Record | Defect | None = None
    while data.skip_blank():
        offset = data.offset()
        head = _header_bytes(data)
        if head is None:
            n = data.drop(1) + data.skip_to_record()
            if not (data.damage and data.damage.offset == offset):
                yield Defect(offset, "broken_record", f"{n:,} bytes that belong to no record")
            continue
        yield None
        for found in _read(data, offset, head, max_bytes):
            yield found
    damage = data.damage
    if damage and not (isinstance(found, Defect) and (found.offset, found.rule) == (damage.offset, damage.rule)):
        yield Defect(damage.offset, damage.rule, str(damage))


def _header_bytes(data: Unpacked) -> int | None:
    """How long the header block at the beginning is; None where there is none."""
    size = 2**10
    while True:
        whole = data.fill(size)
        if not RECORD.match(data.bytes):
            return None
        if end := END_OF_HEADER.search(data.bytes, 0, HEADER_BYTES):
            return end.end()
        if not whole or size > HEADER_BYTES:
            return None
        size *= 2


def _read(data: Unpacked, offset: int, head: int, max_bytes: int) -> Iterator[Record | Defect]:
    """The record that begins at the beginning, or what is wrong with it; then it is passed over."""
    fields = header_fields(bytes(data.bytes[:head]))
    kind, length = fields.get("warc-type", "").lower(), fields.get("content-length", "")
    if not kind:
        yield Defect(offset, "broken_record", "WARC-Type is missing")
        data.drop(head)
        data.skip_to_record()
        return
    if kind not in PAGES and kind not in OTHERS:
        yield Defect(offset, "broken_record", f"WARC-Type is {kind[:40]}")
    if not LENGTH.fullmatch(length):
        if kind != "warcinfo":  # ClueWeb22's has none
            yield Defect(offset, "broken_record", f"Content-Length is {length[:40] or 'missing'}")
        data.drop(head)
        data.skip_to_record()
        return
    stop = head + int(length)
    if stop - head > max_bytes + HTTP_HEADER_BYTES:
        if kind in PAGES:
            yield Defect(offset, "too_large", f"{stop - head:,} bytes declared, {max_bytes:,} allowed for a page")
        yield from _pass_over(data, offset, head, stop)
        return
    whole = data.fill(stop)
    is_sound = whole and data.ends_at(stop)
    if not is_sound and data.damage and data.damage.offset == offset:
        data.drop(len(data.bytes))
        return
    if not is_sound and (end := data.next_record(head, min(stop, len(data.bytes)))):
        yield Defect(offset, "broken_record", f"its length, {stop - head:,}, reaches into the next record")
        stop = end
    elif not whole:
        yield Defect(offset, "broken_record", f"{stop - head:,} bytes declared, only {len(data.bytes) - head:,} there")
        data.drop(stop)
        return
    if kind in PAGES:
        yield _page(fields, kind, offset, bytes(data.bytes[head:stop]))
    data.drop(stop)


def _pass_over(data: Unpacked, offset: int, head: int, stop: int) -> Iterator[Defect]:
    """Pass over a record that is too large to be held; in a plain file not over others that a wrong length covers."""
    n = data.drop(stop)
    if (n == stop and data.ends_at(0)) or (data.damage and data.damage.offset == offset):
        return
    yield Defect(offset, "broken_record", f"{stop - head:,} bytes declared, and no record begins after them")
    if data.is_plain:
        data.restart(offset + head)
    data.skip_to_record()


def header_fields(block: bytes) -> dict[str, str]:
    """The fields of a record's header block, by their names in lower case; of two with one name the first.

    Two lengths that differ are both given, for nothing tells which of them is right.
    """
    fields: dict[str, str] = {}
    for name, value in FIELD.findall(TORN.sub(b"", FOLDED.sub(b" ", block))):
        key, text = name.decode().lower(), _decoded(value)
        if fields.setdefault(key, text) != text and key == "content-length":
            fields[key] += f" and {text}"
    return fields


def _decoded(value: bytes) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


def _page(fields: dict[str, str], kind: str, offset: int, block: bytes) -> Record:
    ids = (fields.get(name, "") for name in ("warc-trec-id", "clueweb22-id", "warc-record-id"))
    return Record(
        offset=offset,
        url=fields.get("warc-target-uri", "").strip("<>").strip(),
        date=parse_date(fields.get("warc-date", "")),
        source_id=next((i.strip("<>") for i in ids if i), f"record at {offset}"),
        content_type=fields.get("content-type", "").lower(),
        identified_type=fields.get("warc-identified-payload-type", "").partition(";")[0].strip().lower(),
        block=block,
        is_text=kind == "conversion",
    )
