"""Unpack a crawl file: plain, in gzip members, or in Zstandard frames.

gzip is read by zlib itself: FastWARC's reader accepts a truncated member as whole, and does not report the
bytes that it skips.

The start of a member is certain only at the end of the previous one. A magic number proves nothing:
incompressible bytes are stored unchanged, so a page inside a member can contain members.
"""

import os
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from fastwarc.stream_io import ZstdReader

GZIP, ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
CHUNK = 2**16  # bytes unpacked at a time
SEARCHED = 2**20  # bytes searched at a time
# Web pages compress to about a tenth; deflate can reach a thousandth, Zstandard far less.
BOMB_BYTES, BOMB_RATIO = 64 * 2**20, 100
SUMMED_BYTES = 2**34  # the most that is unpacked of one member to verify its checksum
# The start of a record: its version line, then a field. Pages mention `WARC/1.0`, but hardly both.
RECORD = re.compile(rb"WARC/(?:1\.[01]|0\.\d{1,2})\r?\n(?=(?i:WARC-|Content-)[\w-]*\s*:)")


class MemberError(ValueError):
    """A member, beginning at `offset`, that cannot be unpacked."""

    def __init__(self, offset: int, rule: str, detail: str, *, is_cut: bool = False) -> None:
        """`rule` names the defect in the quarantine; `is_cut`: the file ends within the member."""
        super().__init__(detail)
        self.offset, self.rule, self.is_cut = offset, rule, is_cut


def packing(stream: BinaryIO) -> bytes:
    """Return the magic number of the file's members, even if its beginning is damaged; empty for a plain file."""
    stream.seek(0)
    head = stream.read(5)
    magic = next((magic for magic in (GZIP, ZSTD) if head.startswith(magic)), b"")
    if magic or head == b"WARC/":
        return magic
    head += stream.read(SEARCHED)
    for match in re.finditer(b"|".join(map(re.escape, (GZIP, ZSTD))), head):
        if _opens_with(stream, match[0], match.start(), b"WARC/"):
            return match[0]
    return b""


def unpacked(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the unpacked bytes of `start` to `end` in chunks, each with the offset of its member.

    In a plain file the offset is that of the chunk.

    Raises:
        MemberError: a member is damaged or truncated; the bytes before the damage have been yielded.
    """
    magic = packing(stream)
    while start < end:
        stream.seek(start)
        if magic:
            for data in _member(stream, magic, start):
                yield start, data
            start = stream.tell()
        else:
            data = stream.read(min(CHUNK, end - start))
            if not data:
                return
            yield start, data
            start += len(data)


def without_bombs(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the chunks of `unpacked`; a decompression bomb raises a `MemberError`, too."""
    size, member = 0, start
    for place, data in unpacked(stream, start, end):
        size = size + len(data) if place == member else len(data)
        member = place
        if is_bomb(stream, place, size):
            raise too_many_bytes(place, size)
        yield place, data


def is_bomb(stream: BinaryIO, start: int, size: int) -> bool:
    """Return whether a member has unpacked to more bytes than pages do, in total and relative to the bytes read."""
    return size > BOMB_BYTES and size > BOMB_RATIO * (stream.tell() - start)


def too_many_bytes(start: int, size: int) -> MemberError:
    """Return the error for a decompression bomb."""
    return MemberError(start, "too_large", f"more than {size:,} bytes unpacked from one member")


def is_sound_member(stream: BinaryIO, start: int) -> bool:
    """Return whether a member unpacks to the end of the file, or to an end with a valid checksum."""
    before, size = stream.tell(), 0
    try:
        for data in _member(stream, packing(stream), start):
            size += len(data)
            if size > SUMMED_BYTES:
                return False
    except MemberError as error:
        return error.is_cut
    finally:
        stream.seek(before)
    return True


def reaches_end(stream: BinaryIO, start: int) -> bool:
    """Return whether only members with valid checksums follow from `start` to the end of the file."""
    magic, size = packing(stream), stream.seek(0, os.SEEK_END)
    while start < size:
        try:
            if not _has_checksum(stream, magic, start):
                return False
            for _ in _member(stream, magic, start):
                pass
        except MemberError:
            return False
        start = stream.tell()
    return bool(magic) and start == size


def _has_checksum(stream: BinaryIO, magic: bytes, start: int) -> bool:
    """Return whether a member has a checksum: gzip always, a Zstandard frame by its flag; a skippable frame passes."""
    stream.seek(start)
    head = stream.read(5)
    return magic == GZIP or head[:4] != ZSTD or (len(head) == 5 and bool(head[4] >> 2 & 1))


def next_member(stream: BinaryIO, after: int, opening: bytes = b"WARC/") -> int | None:
    """Return the offset, at or after `after`, of the next member, or in a plain file of the next version line.

    A magic number occurs by chance once in 16 MiB, so the member's contents must begin with `opening`. The match may
    lie within a page.
    """
    magic = packing(stream)
    pattern = re.compile(re.escape(magic)) if magic else RECORD
    at, tail = after, b""
    stream.seek(at)
    while data := stream.read(SEARCHED):
        window = tail + data
        for match in pattern.finditer(window):
            place = at - len(tail) + match.start()
            if not magic or _opens_with(stream, magic, place, opening):
                return place
        at += len(data)
        tail = window[-64:]
        stream.seek(at)
    return None


def _opens_with(stream: BinaryIO, magic: bytes, place: int, opening: bytes) -> bool:
    """Return whether the member at `place` unpacks to bytes that begin with `opening`, after white space."""
    try:
        data = next(_member(stream, magic, place), b"")
    except MemberError:
        return False
    return data.lstrip().startswith(opening)


def _member(stream: BinaryIO, magic: bytes, start: int) -> Iterator[bytes]:
    """Yield the contents of the member or frame at `start`; the stream stands at its end afterwards."""
    stream.seek(start)
    return _gzip_member(stream, start) if magic == GZIP else _zstd_frame(stream, start)


def _gzip_member(stream: BinaryIO, start: int) -> Iterator[bytes]:
    """Yield the contents of one gzip member; the stream stands at its end afterwards."""
    unpacker = zlib.decompressobj(31)
    n_calls = 0
    while not unpacker.eof:
        packed = unpacker.unconsumed_tail or stream.read(CHUNK)
        if not packed:
            raise MemberError(start, "broken_record", "the file ends within a gzip member", is_cut=True)
        try:
            data = unpacker.decompress(packed, CHUNK)
        except zlib.error as error:
            yield from _before_damage(stream, start, n_calls)
            raise MemberError(start, "broken_record", f"at or after this place: {error}") from error
        n_calls += 1
        yield data
    stream.seek(-len(unpacker.unused_data), os.SEEK_CUR)


def _before_damage(stream: BinaryIO, start: int, n_calls: int) -> Iterator[bytes]:
    """Yield the bytes before the damage that the unpacker met in the call after the first `n_calls`."""
    stream.seek(start)
    unpacker = zlib.decompressobj(31)
    for _ in range(n_calls):
        unpacker.decompress(unpacker.unconsumed_tail or stream.read(CHUNK), CHUNK)
    packed = unpacker.unconsumed_tail or stream.read(CHUNK)
    try:
        while data := unpacker.decompress(packed, 64):
            yield data
            packed = unpacker.unconsumed_tail
    except zlib.error:
        return


def _zstd_frame(stream: BinaryIO, start: int) -> Iterator[bytes]:
    """Yield the contents of one Zstandard frame; the stream stands at its end afterwards."""
    end = _frame_end(stream, start)
    is_cut = end > stream.seek(0, os.SEEK_END)
    stream.seek(start)
    reader = ZstdReader(_Part(stream, end), buffer_size=CHUNK)
    try:
        while data := reader.read(CHUNK):
            yield data
    except OSError as error:
        if error.errno is not None:  # raised by the disk, not by the decoder
            raise
        # A damaged frame may declare a length beyond the end of the file.
        is_cut = is_cut and "incomplete" in str(error)
        raise MemberError(start, "broken_record", f"at or after this place: {error}", is_cut=is_cut) from error
    if is_cut:
        raise MemberError(start, "broken_record", "the file ends within a Zstandard frame", is_cut=True)
    stream.seek(end)


def _frame_end(stream: BinaryIO, start: int) -> int:
    """Return the end of a frame, from the headers of its blocks (RFC 8878, section 3.1.1)."""
    head = stream.read(5)
    if head[1:4] == b"\x2a\x4d\x18" and head[:1] and head[0] >> 4 == 5:  # a skippable frame, such as a seek table
        return start + 8 + int.from_bytes(head[4:] + stream.read(3), "little")
    if head[:4] != ZSTD or len(head) < 5:
        raise MemberError(start, "broken_record", "no Zstandard frame begins here")
    flags = head[4]
    single = flags >> 5 & 1
    size_bytes = (single, 2, 4, 8)[flags >> 6]
    at = start + 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + size_bytes
    is_last = 0
    while not is_last:
        stream.seek(at)
        block = stream.read(3)
        if len(block) < 3:
            raise MemberError(start, "broken_record", "the file ends within a Zstandard frame", is_cut=True)
        value = int.from_bytes(block, "little")
        is_last = value & 1
        at += 3 + (1 if value >> 1 & 3 == 1 else value >> 3)
    return at + 4 * (flags >> 2 & 1)


class _Part:
    """A view of a file that stops at `end`, for a reader that would read past it."""

    def __init__(self, stream: BinaryIO, end: int) -> None:
        self._stream, self._end = stream, end
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._stream.tell())
        return self._stream.read(left if size < 0 else min(size, left))

    def close(self) -> None:
        """Do nothing: the stream belongs to the caller."""
