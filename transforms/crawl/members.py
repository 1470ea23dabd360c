"""The bytes that a crawl file unpacks to: plain, in gzip members, or in Zstandard frames.

gzip by zlib itself: FastWARC's reader takes a member without an end for a whole one, and says
nothing of what it passes over.
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
# Web pages pack to a tenth or so; deflate reaches a thousandth, Zstandard much less.
BOMB_BYTES, BOMB_RATIO = 64 * 2**20, 100
# Where a record begins: its version, then a field. Pages speak of `WARC/1.0`, but hardly of both.
RECORD = re.compile(rb"WARC/(?:1\.[01]|0\.\d{1,2})\r?\n(?=(?i:WARC-|Content-)[\w-]*\s*:)")


class MemberError(ValueError):
    """A member that can't be unpacked, from its `offset` on."""

    def __init__(self, offset: int, rule: str, detail: str) -> None:
        """`rule` is the quarantine's."""
        super().__init__(detail)
        self.offset, self.rule = offset, rule


def packing(stream: BinaryIO) -> bytes:
    """The magic number of the file's members, also where its beginning is damaged; empty for a plain file."""
    stream.seek(0)
    head = stream.read(5)
    magic = next((magic for magic in (GZIP, ZSTD) if head.startswith(magic)), b"")
    if magic or head == b"WARC/":
        return magic
    head += stream.read(SEARCHED)
    for found in re.finditer(b"|".join(map(re.escape, (GZIP, ZSTD))), head):
        if _opens_with(stream, found[0], found.start(), b"WARC/"):
            return found[0]
    return b""


def unpacked(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The unpacked bytes of `start` to `end`, with the offset of the member they are in.

    For a plain file: of the bytes themselves.

    Raises:
        MemberError: a member is damaged, cut, or unpacks to what no page does; all bytes before the place are given.
    """
    magic = packing(stream)
    while start < end:
        stream.seek(start)
        if magic:
            size = 0
            for data in _member(stream, magic, start):
                size += len(data)
                if size > BOMB_BYTES and size > BOMB_RATIO * (stream.tell() - start):
                    raise MemberError(start, "too_large", f"more than {size:,} bytes unpacked from one member")
                yield start, data
            start = stream.tell()
        else:
            data = stream.read(min(CHUNK, end - start))
            if not data:
                return
            yield start, data
            start += len(data)


def next_member(stream: BinaryIO, after: int, opening: bytes = b"WARC/") -> int | None:
    """Where the next record may begin at or after a position: a compressed member, or a version line.

    A magic number comes by chance once in 16 MiB, so a member must open with `opening`.
    """
    magic = packing(stream)
    pattern = re.compile(re.escape(magic)) if magic else RECORD
    at, tail = after, b""
    stream.seek(at)
    while data := stream.read(SEARCHED):
        window = tail + data
        for found in pattern.finditer(window):
            place = at - len(tail) + found.start()
            if not magic or _opens_with(stream, magic, place, opening):
                return place
        at += len(data)
        tail = window[-64:]
        stream.seek(at)
    return None


def members_of_part(stream: BinaryIO, start: int, end: int, opening: bytes) -> tuple[int, int] | None:
    """Where to begin and to end, to read the records that begin in `start` to `end` of a file; None for none.

    The parts of a file give all its records, each of them once: a part begins at the first member
    after `start` that opens with `opening` (in a plain file: at the first version line), and ends
    where the next part begins. What is all one member is in its first part.
    """
    first = next_member(stream, start, opening) if start else 0
    last = next_member(stream, end, opening)
    if first is None or (last is not None and first >= last):
        return None
    return first, stream.seek(0, os.SEEK_END) if last is None else last


def _opens_with(stream: BinaryIO, magic: bytes, place: int, opening: bytes) -> bool:
    """Whether what lies at a place, unpacked, begins with some bytes."""
    try:
        data = next(_member(stream, magic, place), b"")
    except MemberError:
        return False
    return data.lstrip().startswith(opening)


def _member(stream: BinaryIO, magic: bytes, start: int) -> Iterator[bytes]:
    """The contents of what begins at a place; the stream stands at its end afterwards."""
    stream.seek(start)
    return _gzip_member(stream, start) if magic == GZIP else _zstd_frame(stream, start)


def _gzip_member(stream: BinaryIO, start: int) -> Iterator[bytes]:
    """The contents of one member; the stream stands at its end afterwards."""
    unpacker = zlib.decompressobj(31)
    n_calls = 0
    while not unpacker.eof:
        packed = unpacker.unconsumed_tail or stream.read(CHUNK)
        if not packed:
            raise MemberError(start, "broken_record", "the file ends within a gzip member")
        try:
            data = unpacker.decompress(packed, CHUNK)
        except zlib.error as error:
            yield from _before_damage(stream, start, n_calls)
            raise MemberError(start, "broken_record", f"at or after this place: {error}") from error
        n_calls += 1
        yield data
    stream.seek(-len(unpacker.unused_data), os.SEEK_CUR)


def _before_damage(stream: BinaryIO, start: int, n_calls: int) -> Iterator[bytes]:
    """What the call after `n_calls` would have given before it met the damage."""
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
    """The contents of one frame; the stream stands at its end afterwards."""
    end = _frame_end(stream, start)
    stream.seek(start)
    reader = ZstdReader(_Part(stream, end), buffer_size=CHUNK)
    try:
        while data := reader.read(CHUNK):
            yield data
    except OSError as error:
        if error.errno is not None:  # the disk's, and not the decoder's
            raise
        raise MemberError(start, "broken_record", f"at or after this place: {error}") from error
    stream.seek(end)


def _frame_end(stream: BinaryIO, start: int) -> int:
    """Where a frame ends, from the headers of its blocks (RFC 8878, section 3.1.1)."""
    head = stream.read(5)
    if head[1:4] == b"\x2a\x4d\x18" and head[:1] and head[0] >> 4 == 5:  # a frame to be skipped, such as a seek table
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
            raise MemberError(start, "broken_record", "the file ends within a Zstandard frame")
        value = int.from_bytes(block, "little")
        is_last = value & 1
        at += 3 + (1 if value >> 1 & 3 == 1 else value >> 3)
    return at + 4 * (flags >> 2 & 1)


class _Part:
    """The bytes of a file up to `end`, for a reader that would read on."""

    def __init__(self, stream: BinaryIO, end: int) -> None:
        self._stream, self._end = stream, end
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._stream.tell())
        return self._stream.read(left if size < 0 else min(size, left))

    def close(self) -> None:
        """Nothing: the stream is the caller's."""
