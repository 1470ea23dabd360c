"""Crawl files damaged as by a bad disk or a broken transfer."""

import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests import crawls


@dataclass(frozen=True)
class Damaged:
    """A damaged file with the numbers of its records (`http://example.org/<number>`).

    `intact`: records without a changed byte. `hurt`: records with changed bytes, not removed as a whole.
    `place`: range of bytes of the file that holds the damage and the rest of the hurt records.
    `spliced`: the WARC header of a plain record was hurt, so that a wrong record may look sound.
    """

    data: bytes
    intact: frozenset[int]
    hurt: frozenset[int]
    place: range
    spliced: bool


def damaged(seed: int, pack: str) -> Damaged:
    """Build a file of 3 to 8 records, packed as `plain`, `gzip` or `zstd`, with one damage of four kinds."""
    rng = random.Random(f"{seed} {pack}")
    records = [
        crawls.record(
            crawls.http(b"<p>" + rng.randbytes(rng.randint(10, 1500)).hex().encode()), f"http://example.org/{i}"
        )
        for i in range(rng.randint(3, 8))
    ]
    packers: dict[str, Callable[..., bytes]] = {"plain": bytes, "gzip": gzip.compress, "zstd": crawls.zstandard}
    parts = [packers[pack](record) for record in records]
    data = b"".join(parts)
    at = rng.randrange(len(data))
    removed, inserted = {
        "flip": (1, bytes([data[at] ^ 1 << rng.randrange(8)])),
        "cut": (len(data) - at, b""),
        "delete": (min(rng.randint(1, 3000), len(data) - at), b""),
        "insert": (0, rng.randbytes(rng.randint(1, 300))),
    }[rng.choice(["flip", "cut", "delete", "insert"])]

    intact, hurt, begin, spliced = set(), set(), 0, False
    place = range(at, at + len(inserted) + 1)
    for i, part in enumerate(parts):
        end = begin + len(part)
        if end <= at or begin >= at + removed:
            intact.add(i)
        elif begin < at or end > at + removed:
            hurt.add(i)
            place = range(min(place.start, begin), max(place.stop, end - removed + len(inserted) + 1))
            spliced = spliced or (pack == "plain" and begin <= at < begin + records[i].index(b"\r\n\r\n"))
        begin = end
    return Damaged(data[:at] + inserted + data[at + removed :], frozenset(intact), frozenset(hurt), place, spliced)
