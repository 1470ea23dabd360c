"""Move a window forward over the unpacked bytes of a WARC file, and find the starts of records."""

import re
from collections import deque
from typing import BinaryIO, Protocol

from transforms.crawl.members import (
    CHUNK,
    RECORD,
    MemberError,
    is_bomb,
    is_sound_member,
    packing,
    too_many_bytes,
    unpacked,
)

BLANK = re.compile(rb"[\r\n]*")
LINE_BYTES = 64  # enough to recognise the first lines of a record
DECLARED_BYTES = 2**34  # of a record, by its declared length, in which a high compression ratio is no bomb


class Summed(Protocol):
    """A running digest, such as those of `hashlib`."""

    def update(self, data: bytearray) -> None:
        """Add the next bytes."""


class Unpacked:
    """A window over the unpacked bytes of a file: `bytes` holds those read and not yet dropped."""

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        """Cover the members that begin in `start` to `end`, or those bytes of a plain file."""
        self.bytes = bytearray()
        self.damage: MemberError | None = None
        self.is_plain = not packing(stream)
        self._stream, self._end = stream, end
        self.restart(start)

    def restart(self, start: int) -> None:
        """Start again at an offset in the file."""
        self.bytes.clear()
        self.n_members = 0  # begun so far
        self._taken = 0  # unpacked bytes dropped so far
        self._declared = 0  # the current record's end by its declared length, in unpacked bytes
        self._members: deque[tuple[int, int]] = deque()  # start of each member: in unpacked bytes, and in the file
        self._sound: int | None = None  # offset of a member whose checksum was verified
        self._hurt_from: int | None = None  # start of the damaged member, in unpacked bytes
        self._chunks = unpacked(self._stream, start, self._end)

    def fill(self, n: int) -> bool:
        """Read until the window holds `n` bytes; return False if the data ends before."""
        while len(self.bytes) < n and not self.damage:
            try:
                place, data = next(self._chunks)
            except StopIteration:
                break
            except MemberError as error:
                self._hurt(error)
                break
            if self.is_plain or not self._members or self._members[-1][1] != place:
                self._members.append((self._taken + len(self.bytes), place))
                self.n_members += 1
            self.bytes += data
            size = self._taken + len(self.bytes) - self._members[-1][0]
            if self._taken + len(self.bytes) > self._declared and is_bomb(self._stream, place, size):
                self._hurt(too_many_bytes(place, size))
        return len(self.bytes) >= n

    def _hurt(self, error: MemberError) -> None:
        self.damage = error
        begun = self._members and self._members[-1][1] == error.offset
        self._hurt_from = self._members[-1][0] if begun else self._taken + len(self.bytes)

    def declare(self, stop: int) -> None:
        """Exempt the bytes up to `stop`, a record's declared end, from the check for decompression bombs."""
        self._declared = self._taken + min(stop, DECLARED_BYTES) + CHUNK

    def offset(self) -> int:
        """Return the file offset of the window's first byte, or of its member in a compressed file."""
        self.fill(1)
        while len(self._members) > 1 and self._members[1][0] <= self._taken:
            self._members.popleft()
        start, place = self._members[0]
        return place + self._taken - start if self.is_plain else place

    def begins_member(self, at: int = 0) -> bool:
        """Return whether a member begins at index `at` of the window; always true in a plain file."""
        return self.is_plain or any(start == self._taken + at for start, _ in self._members)

    def member_end(self, limit: int) -> int | None:
        """Return the end of the current member, or None.

        None if it is damaged, more than `limit` bytes ahead, or followed by neither a record nor the end of the file.
        """
        self.offset()
        while len(self._members) < 2 and len(self.bytes) <= limit and self.fill(len(self.bytes) + 1):
            pass
        if self.damage and len(self._members) < 2 and self.is_hurt(1):
            return None
        end = self._members[1][0] - self._taken if len(self._members) > 1 else len(self.bytes)
        return end if end <= limit and self.ends_at(end) else None

    def drop(self, n: int, digest: Summed | None = None) -> int:
        """Drop up to `n` bytes, adding them to `digest`; return the number dropped."""
        left = n
        while left and self.fill(1):
            n_dropped = min(left, len(self.bytes))
            if digest:
                digest.update(self.bytes[:n_dropped])
            del self.bytes[:n_dropped]
            self._taken += n_dropped
            left -= n_dropped
        return n - left

    def skip_blank(self) -> bool:
        """Drop line breaks; return whether anything follows."""
        while self.fill(1):
            blank = BLANK.match(self.bytes)
            assert blank is not None  # it may be empty
            if not blank[0]:
                return True
            self.drop(blank.end())
        return False

    def skip_to_record(self) -> int:
        """Drop all bytes before the next record; return the number dropped."""
        n = 0
        while self.fill(CHUNK):
            record = RECORD.search(self.bytes)
            n += self.drop(record.start() if record else len(self.bytes) - LINE_BYTES)
            if record:
                return n
        record = RECORD.search(self.bytes)
        return n + self.drop(record.start() if record else len(self.bytes))

    def next_record(self, start: int, stop: int) -> int | None:
        """Return the index of the first record that begins in `start` to `stop`, or None."""
        record = RECORD.search(self.bytes, start, stop + LINE_BYTES)
        return record.start() if record and record.start() < stop else None

    def ends_at(self, stop: int) -> bool:
        """Return whether only line breaks lie between index `stop` and the end of the file or the next record.

        A next record within the same member counts only if that member is whole.
        """
        self.fill(stop + LINE_BYTES)
        rest = self.bytes[stop : stop + LINE_BYTES]
        blank = BLANK.match(rest)
        assert blank is not None
        if blank.end() == len(rest):
            return not self.is_hurt(stop) or (self.damage is not None and self.damage.is_cut)
        if not RECORD.match(rest, blank.end()):
            return False
        return self.begins_member(stop + blank.end()) or self._is_sound(stop)

    def is_hurt(self, stop: int) -> bool:
        """Return whether the bytes up to `stop` reach into a damaged member."""
        return self._hurt_from is not None and self._hurt_from < self._taken + stop

    def is_in_whole_member(self, stop: int) -> bool:
        """Return whether the bytes up to `stop` lie in one whole member; always true in a plain file."""
        return self.is_plain or (
            not any(self._taken < start < self._taken + stop for start, _ in self._members) and self._is_sound(0)
        )

    def _is_sound(self, at: int) -> bool:
        """Return whether the member at index `at` is whole: a damaged one may unpack to anything."""
        place = next(place for start, place in reversed(self._members) if start <= self._taken + at)
        if self._sound != place and is_sound_member(self._stream, place):
            self._sound = place
        return self._sound == place
