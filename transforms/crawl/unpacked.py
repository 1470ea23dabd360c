"""A window that moves forward over the unpacked bytes of a WARC file, and finds where records begin."""

import re
from collections import deque
from typing import BinaryIO

from transforms.crawl.members import CHUNK, RECORD, MemberError, packing, unpacked

BLANK = re.compile(rb"[\r\n]*")
LINE_BYTES = 64  # enough to tell the first lines of a record


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
        self._taken = 0
        self._members: deque[tuple[int, int]] = deque()  # where each begins: here, and in the file
        self._chunks = unpacked(self._stream, start, self._end)

    def fill(self, n: int) -> bool:
        """Read on until `n` bytes are there; False where there are not so many."""
        while len(self.bytes) < n and not self.damage:
            try:
                place, data = next(self._chunks)
            except StopIteration:
                break
            except MemberError as error:
                self.damage = error
                break
            if self.is_plain or not self._members or self._members[-1][1] != place:
                self._members.append((self._taken + len(self.bytes), place))
            self.bytes += data
        return len(self.bytes) >= n

    def offset(self) -> int:
        """The place in the file of the first of the bytes: its own, or its member's."""
        self.fill(1)
        while len(self._members) > 1 and self._members[1][0] <= self._taken:
            self._members.popleft()
        here, place = self._members[0]
        return place + self._taken - here if self.is_plain else place

    def drop(self, n: int) -> int:
        """Pass over `n` bytes; how many there were."""
        left = n
        while left and self.fill(1):
            gone = min(left, len(self.bytes))
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
            found = self.next_record(0, len(self.bytes))
            n += self.drop(len(self.bytes) - LINE_BYTES if found is None else found)
            if found is not None:
                return n
        found = self.next_record(0, len(self.bytes))
        return n + self.drop(len(self.bytes) if found is None else found)

    def next_record(self, start: int, stop: int) -> int | None:
        """Where in the bytes `start` to `stop` the next record begins."""
        found = RECORD.search(self.bytes, start, stop + LINE_BYTES)
        return found.start() if found and found.start() < stop else None

    def ends_at(self, stop: int) -> bool:
        """Whether the file ends at a place, or a record begins after it."""
        self.fill(stop + LINE_BYTES)
        rest = self.bytes[stop : stop + LINE_BYTES].lstrip(b"\r\n")
        return RECORD.match(rest) is not None if rest else not self.damage
