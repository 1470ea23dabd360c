"""Read a WARC file as a stream of records, each proved to lie outside every other record.

A record begins at the end of the previous one, with a version line and a field. At the end that its length
gives, only line breaks and the next record may follow. A page may quote records, and may contain gzip members
stored without compression, so bytes that look like a record prove nothing. After damage a record is therefore
read only if one of three conditions holds; otherwise it is a `Defect`, `inside_another_record`:

- It names the file's random UUID (`WARC-Warcinfo-ID`), which no page can know.
- The record before it has a wrong length, and either names a digest that shows where it ends or has a whole
  gzip member for itself in a file where every record has.
- From it to the end of the file member follows member, each full of records and with a valid checksum.
  Members inside a page cannot pass this test: the last one would have to end with the checksum of the member
  that holds the page, and that covers the random UUID of the page's record.
"""

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, NamedTuple

from transforms.crawl.members import RECORD, next_member, reaches_end
from transforms.crawl.records import INSIDE, Defect, NotWarcError, Record, parse_date
from transforms.crawl.unpacked import Unpacked

HTTP_HEADER_BYTES = 64 * 2**10  # allowed in a record in addition to the page
HEADER_BYTES = 64 * 2**10
LONG_HEADER_BYTES = 8 * 2**20  # a record with an absurdly long address is refused, but can still be skipped
ARC = b"filedesc://"
END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(r"[0-9]{1,15}")
DRAWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")  # a random UUID (RFC 9562)
FIELD = re.compile(rb"^([A-Za-z0-9-]+)[ \t]*:(.*)$", re.MULTILINE)
FIELDS = re.compile(rb"(?:[A-Za-z0-9-]+[ \t]*:[^\r\n]*\r?\n|\r?\n)*+")
FOLDED = re.compile(rb"\r?\n[ \t]+")
TORN = re.compile(rb"\r?\n(?![A-Za-z0-9-]+[ \t]*:|[\r\n]|\Z)")  # a raw line break in a value (ClueWeb09)
PAGES = {"response", "resource", "conversion"}
OTHERS = {"warcinfo", "request", "metadata", "revisit", "continuation"}
ANY = -HTTP_HEADER_BYTES - 1  # as `max_bytes`: every record is skipped and none is held in memory
OTHER_DIGEST = "its block does not match its digest, or it has no digest although other records of its type do"
MAX_ENDS = 20  # possible ends tried against the digest of a record whose length is wrong
NEAR = 2**16  # bytes past the declared end in which such ends are looked for
MAX_TRIES = 1000  # restarts after damage in one file

Fields = Mapping[str, str]


class _Head(NamedTuple):
    """A record's header block: its offset in the file, its size in bytes, its fields."""

    offset: int
    size: int
    fields: Fields
    kind: str
    length: int | None

    @property
    def fault(self) -> str:
        """The first fault of the header; empty for a sound one."""
        if self.kind not in PAGES and self.kind not in OTHERS:
            return f"WARC-Type is {self.kind[:40] or 'missing'}"
        if self.size > HEADER_BYTES:
            return f"a header of {self.size:,} bytes"
        if self.length is None and self.kind != "warcinfo":  # ClueWeb22's has none
            return f"Content-Length is {self.fields.get('content-length', '')[:40] or 'missing'}"
        return ""

    @property
    def drawn(self) -> set[str]:
        """The file's random UUIDs that the header names."""
        names = ("warc-record-id", "warc-warcinfo-id") if self.kind == "warcinfo" else ("warc-warcinfo-id",)
        return {match[0] for name in names if (match := DRAWN.search(self.fields.get(name, "").lower()))}


class _Digest:
    """The digest of a record's block, by the method that the record names."""

    def __init__(self, head: _Head, block: bytes = b"") -> None:
        """Start from `block`, which may be only the beginning of the block."""
        name, _, self._named = head.fields.get("warc-block-digest", "").partition(":")
        self._sum = hashlib.new(name, block, usedforsecurity=False) if name.lower() in ("sha1", "sha256") else None

    def update(self, data: bytes | bytearray) -> None:
        if self._sum:
            self._sum.update(data)

    def holds(self) -> bool:
        """Return whether the record names this digest."""
        if not self._sum:
            return False
        digest, named = self._sum.digest(), self._named.strip()
        written = (base64.b32encode(digest).decode(), digest.hex().upper())
        return named.upper() in written or named == base64.b64encode(digest).decode()


@dataclass
class _Proof:
    """Evidence that the current position lies outside every record, and the means to prove it again after damage."""

    is_outside: bool = True
    drawn: set[str] = field(default_factory=set)  # the file's UUIDs, from proved records
    has_own_members: bool = True  # no record has begun within a member yet
    digests: set[str] = field(default_factory=set)  # record types with a digest that matched: now all of them must

    def look_at(self, head: _Head, data: Unpacked) -> None:
        """Update the evidence from the header at the current position."""
        self.is_outside = self.is_outside or not self.drawn.isdisjoint(head.drawn)
        if self.is_outside:
            self.has_own_members = self.has_own_members and not data.is_plain and data.begins_member()
            if head.kind == "warcinfo":
                self.drawn |= head.drawn

    def accepts(self, head: _Head, digest: _Digest) -> bool:
        """Return whether a record of an uncompressed file can be intact: if bytes are lost, it may end in another one.

        False if its digest does not match although that of an earlier record of its type did.
        """
        if digest.holds():
            self.digests.add(head.kind)
        return digest.holds() or head.kind not in self.digests


def read_records(
    stream: BinaryIO, max_bytes: int, start: int | None = 0, end: int | None = None
) -> Iterator[Record | Defect]:
    """Yield the page records of a WARC file (plain, gzip or Zstandard), one in memory at a time.

    Intact records of other types are skipped; a damaged record becomes a `Defect`.
    `max_bytes` bounds the page within a record; records must begin at `start` and `end`.

    Raises:
        NotWarcError: the file holds no record at all.
    """
    end = stream.seek(0, os.SEEK_END) if end is None else end
    early: list[Defect] | None = []  # defects before the first record: without a record, this is no WARC file
    proof = _Proof(drawn=_first_numbers(stream))
    n_tries = 0
    while start is not None and start < end:
        data = Unpacked(stream, start, end)
        for item in _records(data, max_bytes, proof):
            if early is not None and isinstance(item, Defect):
                early.append(item)
                continue
            yield from early or ()
            early = None
            if item is not None:
                yield item
        if not data.damage:
            break
        n_tries += 1
        start = next_member(stream, data.damage.offset + 1)
        if start is not None and n_tries > MAX_TRIES:
            yield Defect(start, "broken_record", f"the rest of the file is not read: damage at {n_tries:,} places")
            break
        proof.is_outside = start is not None and not data.damage.is_cut and _reaches_end(stream, start)
    if early is not None:
        raise NotWarcError(_why_not(stream, early))


def record_starts(stream: BinaryIO, step: int) -> Iterator[int]:
    """Yield the offsets at which a file may be split: the first in each `step` bytes where member and record begin.

    No offset lies behind damage: the part before it reaches to the end of the file. The file is unpacked once.
    """
    data = Unpacked(stream, 0, stream.seek(0, os.SEEK_END))
    proof = _Proof()
    after = step
    for item in _records(data, ANY, proof):
        if not proof.is_outside:
            return
        if item is None and data.offset() >= after and data.begins_member():
            yield data.offset()
            after = data.offset() // step * step + step


def _reaches_end(stream: BinaryIO, start: int) -> bool:
    """Return whether only whole members full of records follow from `start` to the end of the file."""
    if not reaches_end(stream, start):
        return False
    data = Unpacked(stream, start, stream.seek(0, os.SEEK_END))
    proof = _Proof()
    n_opened = sum(item is None and data.begins_member() for item in _records(data, ANY, proof))
    return proof.is_outside and n_opened == data.n_members


def _why_not(stream: BinaryIO, early: list[Defect]) -> str:
    head = Unpacked(stream, 0, stream.seek(0, os.SEEK_END))
    head.fill(len(ARC))
    if head.bytes.startswith(ARC):
        return "an ARC file, the format before WARC: convert it with `warcio recompress`"
    return early[0].detail if early else "it holds no WARC record"


def _first_numbers(stream: BinaryIO) -> set[str]:
    """Return the UUIDs that the first record of the file names."""
    data = Unpacked(stream, 0, stream.seek(0, os.SEEK_END))
    head = _head(data) if data.skip_blank() else None
    return head.drawn if head else set()


def _records(data: Unpacked, max_bytes: int, proof: _Proof) -> Iterator[Record | Defect | None]:
    """Yield each record and defect up to the first damage, and None at the start of each record."""
    item: Record | Defect | None = None
    while data.skip_blank():
        offset = data.offset()
        head = _head(data)
        if head is None:
            n = data.drop(1) + data.skip_to_record()
            if proof.is_outside and not (data.damage and data.damage.offset == offset):
                yield Defect(offset, "broken_record", f"{n:,} bytes that belong to no record")
            proof.is_outside = False
            continue
        proof.look_at(head, data)
        yield None
        for item in _read(data, head, max_bytes, proof) if proof.is_outside else _unproved(data, head):
            yield item
    damage = data.damage
    if damage and not (isinstance(item, Defect) and (item.offset, item.rule) == (damage.offset, damage.rule)):
        yield Defect(damage.offset, damage.rule, str(damage))


def _head(data: Unpacked) -> _Head | None:
    """Return the header block at the current position; None if there is none."""
    size, searched = 2**10, 0
    while True:
        whole = data.fill(size)
        if not RECORD.match(data.bytes):
            return None
        if end := END_OF_HEADER.search(data.bytes, searched, LONG_HEADER_BYTES):
            fields = header_fields(bytes(data.bytes[: end.end()]))
            length = fields.get("content-length", "")
            declared = int(length) if LENGTH.fullmatch(length) else None
            return _Head(data.offset(), end.end(), fields, fields.get("warc-type", "").lower(), declared)
        if not whole or size > LONG_HEADER_BYTES:
            return None
        size, searched = size * 2, max(0, len(data.bytes) - 3)


def _unproved(data: Unpacked, head: _Head) -> Iterator[Defect]:
    """Yield a defect for a page record found after damage, and skip its header: its length may be forged."""
    if head.kind in PAGES:
        what = "found after damage, and may be part of a damaged record"
        yield Defect(head.offset, INSIDE, f"{_address(head.fields)[:200]}: {what}")
    data.drop(head.size)


def _read(data: Unpacked, head: _Head, max_bytes: int, proof: _Proof) -> Iterator[Record | Defect]:
    """Yield the record at the current position, or its defects, and move past it."""
    max_record_bytes = max_bytes + HTTP_HEADER_BYTES
    if head.fault:
        yield Defect(head.offset, "broken_record", head.fault)
    if head.length is None and head.kind == "warcinfo" and (end := _end_of_fields(data, head)):
        data.drop(end)
    elif head.length is None:
        yield from _without_length(data, head, max_record_bytes, proof)
    elif head.length <= max_record_bytes:
        yield from _by_length(data, head, max_record_bytes, proof)
    elif proof.has_own_members and data.member_end(max_record_bytes) is not None:
        yield from _without_length(data, head, max_record_bytes, proof)
    else:
        if head.kind in PAGES and not head.fault:
            yield Defect(head.offset, "too_large", f"{head.length:,} bytes declared, {max_bytes:,} allowed for a page")
        yield from _skip_large(data, head, proof)


def _end_of_fields(data: Unpacked, head: _Head) -> int | None:
    """Return the end of the fields in a `warcinfo` block if a record follows them, else None.

    Such a block was written by the crawler and contains no page.
    """
    data.fill(head.size + NEAR)
    end = FIELDS.match(data.bytes, head.size)
    return end.end() if end and RECORD.match(data.bytes, end.end()) else None


def _by_length(data: Unpacked, head: _Head, max_record_bytes: int, proof: _Proof) -> Iterator[Record | Defect]:
    """Read a record that fits in memory, with its declared length."""
    stop = head.size + (head.length or 0)
    data.declare(stop)
    whole = data.fill(stop)
    if whole and data.ends_at(stop):
        block = bytes(data.bytes[head.size : stop])
        if data.is_plain and not proof.accepts(head, _Digest(head, block)):
            yield Defect(head.offset, "broken_record", OTHER_DIGEST)
            data.drop(head.size)
            proof.is_outside = False
            return
        if head.kind in PAGES and not head.fault:
            yield _page(head, block)
        data.drop(stop)
    elif data.is_hurt(stop if whole else len(data.bytes) + 1):
        data.drop(head.size)  # the damage is reported elsewhere; a damaged member may unpack to anything
        proof.is_outside = False
    else:
        yield from _without_length(data, head, max_record_bytes, proof)


def _without_length(data: Unpacked, head: _Head, max_record_bytes: int, proof: _Proof) -> Iterator[Record | Defect]:
    """Read a record whose declared length is missing or wrong: no record begins after it.

    Its end is where its block matches the digest that it names, or, in a file with a member for each record, the
    end of its member. Otherwise the record is broken, and the position behind its header is unproved.
    """
    stop = head.size + (head.length or 0)
    block, end = (
        _by_digest(data, head, max_record_bytes) or _by_member(data, head, max_record_bytes, proof) or (None, head.size)
    )
    n_there = len(data.bytes) - head.size
    what = "no record begins after them" if n_there >= (head.length or 0) else f"only {n_there:,} there"
    fault = Defect(head.offset, "broken_record", f"{head.length or 0:,} bytes declared, and {what}")
    if head.length is not None and end < stop:
        yield fault
    if head.length is not None and block is not None and head.kind in PAGES and not head.fault:
        yield _page(head, block)
    if head.length is not None and end > stop:  # if the length is right, the bytes after it belong to no record
        yield fault
    data.drop(end)
    proof.is_outside = block is not None


def _by_digest(data: Unpacked, head: _Head, max_record_bytes: int) -> tuple[bytes, int] | None:
    """Return the block that matches the record's digest, and its end; None if no tried end gives one."""
    if "warc-block-digest" not in head.fields:
        return None
    data.fill(min(head.size + (head.length or 0) + NEAR, max_record_bytes))
    ends = [match.start() for match in islice(RECORD.finditer(data.bytes, head.size, max_record_bytes), MAX_ENDS)]
    for end in (head.size + (head.length or 0), *ends, len(data.bytes)):
        for tail in (b"\r\n\r\n", b"\n\n", b""):
            block = bytes(data.bytes[head.size : end])
            if block.endswith(tail) and _Digest(head, block.removesuffix(tail)).holds():
                return block.removesuffix(tail), end
    return None


def _by_member(data: Unpacked, head: _Head, max_record_bytes: int, proof: _Proof) -> tuple[bytes, int] | None:
    """Return the block of a record that fills a member, or of its declared length, and its end.

    None if neither is certain, or if the block could contain another record.
    """
    stop = head.size + (head.length or 0)
    end = data.member_end(max_record_bytes) if proof.has_own_members else None
    if end is not None:
        block = bytes(data.bytes[head.size : end]).rstrip(b"\r\n")
    elif head.length is not None and len(data.bytes) >= stop and data.is_in_whole_member(stop):
        block, end = bytes(data.bytes[head.size : stop]), stop
    else:
        return None
    return (block, end) if data.next_record(head.size, end) is None else None


def _skip_large(data: Unpacked, head: _Head, proof: _Proof) -> Iterator[Defect]:
    """Skip a record that is too large for memory."""
    stop = head.size + (head.length or 0)
    data.declare(stop)
    digest = _Digest(head)
    data.drop(head.size)
    is_whole = data.drop(head.length or 0, digest if data.is_plain else None) == head.length and data.ends_at(0)
    if data.damage or (is_whole and (not data.is_plain or proof.accepts(head, digest))):
        return
    what = OTHER_DIGEST if is_whole else f"{head.length:,} bytes declared, and no record begins after them"
    yield Defect(head.offset, "broken_record", what)
    if data.is_plain:  # its length may cover other records
        data.restart(head.offset + head.size)
    proof.is_outside = False


def header_fields(block: bytes) -> dict[str, str]:
    """Return the fields of a record's header block by lower-case name; a repeated name keeps its first value.

    Two different values of Content-Length are joined with "and", since either may be right.
    """
    fields: dict[str, str] = {}
    matches = FIELD.findall(block)
    if len(matches) + 2 != block.count(b"\n"):  # not a field on each line between the first and the last
        matches = FIELD.findall(TORN.sub(b"", FOLDED.sub(b" ", block)))
    for name, value in matches:
        key, text = name.decode().lower(), _decoded(value)
        if fields.setdefault(key, text) != text and key == "content-length":
            fields[key] += f" and {text}"
    return fields


def _decoded(value: bytes) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


def _page(head: _Head, block: bytes) -> Record:
    fields = head.fields
    ids = (fields.get(name, "") for name in ("warc-trec-id", "clueweb22-id", "warc-record-id"))
    return Record(
        offset=head.offset,
        url=_address(fields),
        date=parse_date(fields.get("warc-date", "")),
        source_id=next((i.strip("<>") for i in ids if i), f"record at {head.offset}"),
        content_type=fields.get("content-type", "").lower(),
        identified_type=fields.get("warc-identified-payload-type", "").partition(";")[0].strip().lower(),
        block=block,
        is_text=head.kind == "conversion",
    )


def _address(fields: Fields) -> str:
    return fields.get("warc-target-uri", "").strip("<>").strip()
