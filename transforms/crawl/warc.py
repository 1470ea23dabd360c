"""A WARC file as a stream of records, each of which is known to lie outside every other one.

A record begins where the one before it ended, with a version and a field; where its length says that it
ends, only line breaks and the next record may follow. A page may quote records, and may hold gzip members
that lie in the file as they are, so what is found by its looks alone proves nothing. After damage a record
is therefore read only if one of three holds, and is else a `Defect`, `inside_another_record`:

- It names the number that the crawler drew for this file (`WARC-Warcinfo-ID`), which no page can know.
- The record before it, of a wrong length, names a digest that tells where it ends, or has a whole member of
  its own in a file where all have.
- From it to the end of the file there is member after member, each is full of records, and its checksum holds.
  A member that lies in a page can't be followed so: the last one would have to end with the page's own
  checksum, and that covers the random number of its record.
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

HTTP_HEADER_BYTES = 64 * 2**10  # what a record may hold beside the page itself
HEADER_BYTES = 64 * 2**10
LONG_HEADER_BYTES = 8 * 2**20  # an address may be so long that it is no page's, and its record still be passed over
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
ANY = -HTTP_HEADER_BYTES - 1  # the largest page, for records that are passed over and not held
OTHER_DIGEST = "its block does not have the digest that it names, or it names none and others do"
MAX_ENDS = 20  # of a record whose length is wrong, that its digest is tried for
NEAR = 2**16  # behind its length
MAX_TRIES = 1000  # places after damage at which reading is begun anew

Fields = Mapping[str, str]


class _Head(NamedTuple):
    """A record's header block: its place in the file, its bytes, its fields."""

    offset: int
    size: int
    fields: Fields
    kind: str
    length: int | None

    @property
    def fault(self) -> str:
        """What is wrong with it; empty for nothing."""
        if self.kind not in PAGES and self.kind not in OTHERS:
            return f"WARC-Type is {self.kind[:40] or 'missing'}"
        if self.size > HEADER_BYTES:
            return f"a header of {self.size:,} bytes"
        if self.length is None and self.kind != "warcinfo":  # ClueWeb22's has none
            return f"Content-Length is {self.fields.get('content-length', '')[:40] or 'missing'}"
        return ""

    @property
    def drawn(self) -> set[str]:
        """The random numbers of the file that it gives."""
        names = ("warc-record-id", "warc-warcinfo-id") if self.kind == "warcinfo" else ("warc-warcinfo-id",)
        return {found[0] for name in names if (found := DRAWN.search(self.fields.get(name, "").lower()))}


class _Digest:
    """The digest of a record's block, by the method that the record names."""

    def __init__(self, head: _Head, block: bytes = b"") -> None:
        """Of the block, or of its beginning."""
        name, _, self._named = head.fields.get("warc-block-digest", "").partition(":")
        self._sum = hashlib.new(name, block, usedforsecurity=False) if name.lower() in ("sha1", "sha256") else None

    def update(self, data: bytes | bytearray) -> None:
        if self._sum:
            self._sum.update(data)

    def holds(self) -> bool:
        """Whether the record names this very one."""
        if not self._sum:
            return False
        digest, named = self._sum.digest(), self._named.strip()
        written = (base64.b32encode(digest).decode(), digest.hex().upper())
        return named.upper() in written or named == base64.b64encode(digest).decode()


@dataclass
class _Proof:
    """Whether the place that is being read is known to lie outside every record, and by what it can be known again."""

    is_outside: bool = True
    drawn: set[str] = field(default_factory=set)  # the file's numbers, from records that are proved
    has_own_members: bool = True  # no record has begun within a member yet
    digests: set[str] = field(default_factory=set)  # kinds of records of which one has had its digest, so all have to

    def look_at(self, head: _Head, data: Unpacked) -> None:
        """Take in the header that the bytes begin with."""
        self.is_outside = self.is_outside or not self.drawn.isdisjoint(head.drawn)
        if self.is_outside:
            self.has_own_members = self.has_own_members and not data.is_plain and data.begins_member()
            if head.kind == "warcinfo":
                self.drawn |= head.drawn

    def accepts(self, head: _Head, digest: _Digest) -> bool:
        """Whether a plain file's record may be as it was written: where bytes are lost, it could end in another one."""
        if digest.holds():
            self.digests.add(head.kind)
        return digest.holds() or head.kind not in self.digests


def read_records(
    stream: BinaryIO, max_bytes: int, start: int | None = 0, end: int | None = None
) -> Iterator[Record | Defect]:
    """The page records of a WARC file, plain, gzip or Zstandard, one in memory at a time.

    Every other record that is whole is passed over; every one that is not becomes a `Defect`.
    `max_bytes` bounds the page within a record; at `start` and `end` records are known to begin.

    Raises:
        NotWarcError: the file holds no record at all.
    """
    end = stream.seek(0, os.SEEK_END) if end is None else end
    early: list[Defect] | None = []  # with a record after them, this is a WARC file after all
    proof = _Proof(drawn=_first_numbers(stream))
    n_tries = 0
    while start is not None and start < end:
        data = Unpacked(stream, start, end)
        for found in _records(data, max_bytes, proof):
            if early is not None and isinstance(found, Defect):
                early.append(found)
                continue
            yield from early or ()
            early = None
            if found is not None:
                yield found
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
    """The places at which a file may be divided: the first one in each `step` bytes where member and record begin.

    None lies behind damage: the part before it is read to the end of the file. The file is unpacked once.
    """
    data = Unpacked(stream, 0, stream.seek(0, os.SEEK_END))
    proof = _Proof()
    after = step
    for found in _records(data, ANY, proof):
        if not proof.is_outside:
            return
        if found is None and data.offset() >= after and data.begins_member():
            yield data.offset()
            after = data.offset() // step * step + step


def _reaches_end(stream: BinaryIO, start: int) -> bool:
    """Whether from a place to the end of the file there is member after member, each whole and full of records."""
    if not reaches_end(stream, start):
        return False
    data = Unpacked(stream, start, stream.seek(0, os.SEEK_END))
    proof = _Proof()
    n_opened = sum(found is None and data.begins_member() for found in _records(data, ANY, proof))
    return proof.is_outside and n_opened == data.n_members


def _why_not(stream: BinaryIO, early: list[Defect]) -> str:
    head = Unpacked(stream, 0, stream.seek(0, os.SEEK_END))
    head.fill(len(ARC))
    if head.bytes.startswith(ARC):
        return "an ARC file, the format before WARC: convert it with `warcio recompress`"
    return early[0].detail if early else "it holds no WARC record"


def _first_numbers(stream: BinaryIO) -> set[str]:
    """The numbers of the file that the record at its beginning gives."""
    data = Unpacked(stream, 0, stream.seek(0, os.SEEK_END))
    head = _head(data) if data.skip_blank() else None
    return head.drawn if head else set()


def _records(data: Unpacked, max_bytes: int, proof: _Proof) -> Iterator[Record | Defect | None]:
    """Each record and defect up to the first damage; None where a record begins."""
    found: Record | Defect | None = None
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
        for found in _read(data, head, max_bytes, proof) if proof.is_outside else _passed_by(data, head):
            yield found
    damage = data.damage
    if damage and not (isinstance(found, Defect) and (found.offset, found.rule) == (damage.offset, damage.rule)):
        yield Defect(damage.offset, damage.rule, str(damage))


def _head(data: Unpacked) -> _Head | None:
    """The header block at the beginning; None where there is none."""
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


def _passed_by(data: Unpacked, head: _Head) -> Iterator[Defect]:
    """What is found after damage; its length is not trusted, for it may be made up."""
    if head.kind in PAGES:
        what = "found after damage, and nothing shows that it is no part of a damaged record"
        yield Defect(head.offset, INSIDE, f"{_address(head.fields)[:200]}: {what}")
    data.drop(head.size)


def _read(data: Unpacked, head: _Head, max_bytes: int, proof: _Proof) -> Iterator[Record | Defect]:
    """The record that begins at the beginning, or what is wrong with it; then it is passed over."""
    most = max_bytes + HTTP_HEADER_BYTES
    if head.fault:
        yield Defect(head.offset, "broken_record", head.fault)
    if head.length is None and head.kind == "warcinfo" and (end := _end_of_fields(data, head)):
        data.drop(end)
    elif head.length is None:
        yield from _without_end(data, head, most, proof)
    elif head.length <= most:
        yield from _by_length(data, head, most, proof)
    elif proof.has_own_members and data.member_end(most) is not None:
        yield from _without_end(data, head, most, proof)
    else:
        if head.kind in PAGES and not head.fault:
            yield Defect(head.offset, "too_large", f"{head.length:,} bytes declared, {max_bytes:,} allowed for a page")
        yield from _pass_over(data, head, proof)


def _end_of_fields(data: Unpacked, head: _Head) -> int | None:
    """Where the fields end that a `warcinfo` holds, if a record follows them: what the crawler wrote, and no page."""
    data.fill(head.size + NEAR)
    end = FIELDS.match(data.bytes, head.size)
    return end.end() if end and RECORD.match(data.bytes, end.end()) else None


def _by_length(data: Unpacked, head: _Head, most: int, proof: _Proof) -> Iterator[Record | Defect]:
    """A record that may be held in memory, as long as it says."""
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
        data.drop(head.size)  # the damage is named; what its member unpacks to may be anything
        proof.is_outside = False
    else:
        yield from _without_end(data, head, most, proof)


def _without_end(data: Unpacked, head: _Head, most: int, proof: _Proof) -> Iterator[Record | Defect]:
    """A record after whose length, if it has one, no other begins: where it ends has to be shown otherwise.

    It ends where its block has the digest that it names, or, in a file whose records have a member each, with
    its own. Else it is broken, and what lies behind its header has to be proved.
    """
    stop = head.size + (head.length or 0)
    block, end = _by_digest(data, head, most) or _by_member(data, head, most, proof) or (None, head.size)
    n_there = len(data.bytes) - head.size
    what = "no record begins after them" if n_there >= (head.length or 0) else f"only {n_there:,} there"
    fault = Defect(head.offset, "broken_record", f"{head.length or 0:,} bytes declared, and {what}")
    if head.length is not None and end < stop:
        yield fault
    if head.length is not None and block is not None and head.kind in PAGES and not head.fault:
        yield _page(head, block)
    if head.length is not None and end > stop:  # where it is right, what follows is named: it belongs to no record
        yield fault
    data.drop(end)
    proof.is_outside = block is not None


def _by_digest(data: Unpacked, head: _Head, most: int) -> tuple[bytes, int] | None:
    """The block that has the digest that its record names, and where it ends."""
    if "warc-block-digest" not in head.fields:
        return None
    data.fill(min(head.size + (head.length or 0) + NEAR, most))
    ends = [found.start() for found in islice(RECORD.finditer(data.bytes, head.size, most), MAX_ENDS)]
    for end in (head.size + (head.length or 0), *ends, len(data.bytes)):
        for tail in (b"\r\n\r\n", b"\n\n", b""):
            block = bytes(data.bytes[head.size : end])
            if block.endswith(tail) and _Digest(head, block.removesuffix(tail)).holds():
                return block.removesuffix(tail), end
    return None


def _by_member(data: Unpacked, head: _Head, most: int, proof: _Proof) -> tuple[bytes, int] | None:
    """The block of a record that has a member for itself, or that its length gives; none that may hold another."""
    stop = head.size + (head.length or 0)
    end = data.member_end(most) if proof.has_own_members else None
    if end is not None:
        block = bytes(data.bytes[head.size : end]).rstrip(b"\r\n")
    elif head.length is not None and len(data.bytes) >= stop and data.is_in_whole_member(stop):
        block, end = bytes(data.bytes[head.size : stop]), stop
    else:
        return None
    return (block, end) if data.next_record(head.size, end) is None else None


def _pass_over(data: Unpacked, head: _Head, proof: _Proof) -> Iterator[Defect]:
    """Pass over a record that is too large to be held."""
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
    """The fields of a record's header block, by their names in lower case; of two with one name the first.

    Two lengths that differ are both given, for nothing tells which of them is right.
    """
    fields: dict[str, str] = {}
    found = FIELD.findall(block)
    if len(found) + 2 != block.count(b"\n"):  # not a field on each line between the first and the last
        found = FIELD.findall(TORN.sub(b"", FOLDED.sub(b" ", block)))
    for name, value in found:
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
