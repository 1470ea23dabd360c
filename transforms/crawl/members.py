"""The bytes that a crawl file unpacks to: plain, in gzip members, or in Zstandard frames.

gzip by zlib itself: FastWARC's reader takes a member without an end for a whole one, and says
nothing of what it passes over.

Where a member begins is known only where the one before it ended. A magic number proves nothing: bytes
that do not pack lie in a member as they are, so a page can hold members of its own.
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
SUMMED_BYTES = 2**34  # of one member that are unpacked for its checksum
# Where a record begins: its version, then a field. Pages speak of `WARC/1.0`, but hardly of both.
RECORD = re.compile(rb"WARC/(?:1\.[01]|0\.\d{1,2})\r?\n(?=(?i:WARC-|Content-)[\w-]*\s*:)")


class MemberError(ValueError):
    """A member that can't be unpacked, from its `offset` on."""

    def __init__(self, offset: int, rule: str, detail: str, *, is_cut: bool = False) -> None:
        """`rule` is the quarantine's; `is_cut`: the member reaches to the end of the file."""
        super().__init__(detail)
        self.offset, self.rule, self.is_cut = offset, rule, is_cut


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
        MemberError: a member is damaged or cut; all bytes before the place are given.
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
    """What `unpacked` gives; a member that unpacks to what no page does raises a `MemberError`, too."""
    size, member = 0, start
    for place, data in unpacked(stream, start, end):
        size = size + len(data) if place == member else len(data)
        member = place
        if is_bomb(stream, place, size):
            raise too_many_bytes(place, size)
        yield place, data


def is_bomb(stream: BinaryIO, start: int, size: int) -> bool:
    """Whether a member that is being unpacked has given more bytes than pages do."""
    return size > BOMB_BYTES and size > BOMB_RATIO * (stream.tell() - start)


def too_many_bytes(start: int, size: int) -> MemberError:
    """The error of a member that is a bomb."""
    return MemberError(start, "too_large", f"more than {size:,} bytes unpacked from one member")


def is_sound_member(stream: BinaryIO, start: int) -> bool:
    """Whether a member unpacks, to the end of the file or to an end that its checksum holds for."""
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
    """Whether from a place to the end of the file there is member after member, and the checksum of each holds."""
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
    """Whether a member has one: gzip's always, a Zstandard frame by its flag; a frame to be skipped needs none."""
    stream.seek(start)
    head = stream.read(5)
    return magic == GZIP or head[:4] != ZSTD or (len(head) == 5 and bool(head[4] >> 2 & 1))


def next_member(stream: BinaryIO, after: int, opening: bytes = b"WARC/") -> int | None:
    """Where the next record may begin at or after a position: a compressed member, or a version line.

    A magic number comes by chance once in 16 MiB, so a member must open with `opening`. What is found may lie
    within a page.
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
    is_cut = end > stream.seek(0, os.SEEK_END)
    stream.seek(start)
    reader = ZstdReader(_Part(stream, end), buffer_size=CHUNK)
    try:
        while data := reader.read(CHUNK):
            yield data
    except OSError as error:
        if error.errno is not None:  # the disk's, and not the decoder's
            raise
        # A damaged frame may say that it is longer than the file.
        is_cut = is_cut and "incomplete" in str(error)
        raise MemberError(start, "broken_record", f"at or after this place: {error}", is_cut=is_cut) from error
    if is_cut:
        raise MemberError(start, "broken_record", "the file ends within a Zstandard frame", is_cut=True)
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
            raise MemberError(start, "broken_record", "the file ends within a Zstandard frame", is_cut=True)
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
