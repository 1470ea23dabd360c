"""A window that moves forward over the unpacked bytes of a WARC file, and finds where records begin."""

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
LINE_BYTES = 64  # enough to tell the first lines of a record
DECLARED_BYTES = 2**34  # of a record that are passed over, however well they pack


class Summed(Protocol):
    """What takes bytes one piece after the other."""

    def update(self, data: bytearray) -> None:
        """Take the next piece."""


class Unpacked:
    """The unpacked bytes from a place on, as many of them in memory as are being looked at."""

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        """Of a file, those in the members that begin in `start` to `end`; of a plain file, its own."""
        self.bytes = bytearray()
        self.damage: MemberError | None = None
        self.is_plain = not packing(stream)
        self._stream, self._end = stream, end
        self.restart(start)

    def restart(self, start: int) -> None:
        """Begin again at a place in the file."""
        self.bytes.clear()
        self.n_members = 0  # that have been begun
        self._taken = 0
        self._declared = 0  # where the record that is read ends, by its length
        self._members: deque[tuple[int, int]] = deque()  # where each begins: here, and in the file
        self._sound: int | None = None  # a member that was read to its end for its checksum
        self._hurt_from: int | None = None  # where the damaged member begins
        self._chunks = unpacked(self._stream, start, self._end)

    def fill(self, n: int) -> bool:
        """Read on until `n` bytes are there; False where there are not so many."""
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
        """Say that a record's length reaches to `stop`: a page that packs well is no bomb."""
        self._declared = self._taken + min(stop, DECLARED_BYTES) + CHUNK

    def offset(self) -> int:
        """The place in the file of the first of the bytes: its own, or its member's."""
        self.fill(1)
        while len(self._members) > 1 and self._members[1][0] <= self._taken:
            self._members.popleft()
        here, place = self._members[0]
        return place + self._taken - here if self.is_plain else place

    def begins_member(self, at: int = 0) -> bool:
        """Whether a member begins at a place in the bytes; any place of a plain file will do."""
        return self.is_plain or any(here == self._taken + at for here, _ in self._members)

    def member_end(self, most: int) -> int | None:
        """Where the member of the first of the bytes ends, if within `most` bytes, and a record or nothing follows."""
        self.offset()
        while len(self._members) < 2 and len(self.bytes) <= most and self.fill(len(self.bytes) + 1):
            pass
        if self.damage and len(self._members) < 2 and self.is_hurt(1):
            return None
        end = self._members[1][0] - self._taken if len(self._members) > 1 else len(self.bytes)
        return end if end <= most and self.ends_at(end) else None

    def drop(self, n: int, digest: Summed | None = None) -> int:
        """Pass over `n` bytes, and let `digest` have them; how many there were."""
        left = n
        while left and self.fill(1):
            gone = min(left, len(self.bytes))
            if digest:
                digest.update(self.bytes[:gone])
            del self.bytes[:gone]
            self._taken += gone
            left -= gone
        return n - left

    def skip_blank(self) -> bool:
        """Pass over line breaks; whether anything follows."""
        while self.fill(1):
            blank = BLANK.match(self.bytes)
            assert blank is not None  # it may be empty
            if not blank[0]:
                return True
            self.drop(blank.end())
        return False

    def skip_to_record(self) -> int:
        """Pass over what comes before the next record; how many bytes."""
        n = 0
        while self.fill(CHUNK):
            found = RECORD.search(self.bytes)
            n += self.drop(found.start() if found else len(self.bytes) - LINE_BYTES)
            if found:
                return n
        found = RECORD.search(self.bytes)
        return n + self.drop(found.start() if found else len(self.bytes))

    def next_record(self, start: int, stop: int) -> int | None:
        """Where in the bytes `start` to `stop` the next record begins."""
        found = RECORD.search(self.bytes, start, stop + LINE_BYTES)
        return found.start() if found and found.start() < stop else None

    def ends_at(self, stop: int) -> bool:
        """Whether the file ends at a place, or a record begins after it; within one member only if that is whole."""
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
        """Whether the bytes up to `stop` reach into a member that is damaged."""
        return self._hurt_from is not None and self._hurt_from < self._taken + stop

    def is_in_whole_member(self, stop: int) -> bool:
        """Whether the bytes up to `stop` are in one member, and that is whole; any of a plain file are."""
        return self.is_plain or (
            not any(self._taken < here < self._taken + stop for here, _ in self._members) and self._is_sound(0)
        )

    def _is_sound(self, at: int) -> bool:
        """Whether the member that holds a place is whole: what a damaged one unpacks to may be anything."""
        place = next(place for here, place in reversed(self._members) if here <= self._taken + at)
        if self._sound != place and is_sound_member(self._stream, place):
            self._sound = place
        return self._sound == place
