"""Pages that contain forged records: none is read, however a file is split and wherever it is damaged.

There is one exception, in 3 of 1,000 damaged files: plain text has no checksum, so if bytes are lost, a record may end
by its length right before a record that another page quotes. A file whose records name digests reveals that, unless the
digest is lost too.
"""

import gzip
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests import crawls
from transforms.crawl.documents import file_parts, file_rows, part_rows
from transforms.crawl.records import Columns, Part

MAX = 2**20
GOOD, FORGED = "http://good.example/", "http://en.wikipedia.org/"


def forged(rng: random.Random, text: bytes = b"") -> bytes:
    """Return a record in a crawler's format, under an address that is not the page's."""
    body = text or rng.randbytes(rng.randint(1, 40)).hex().encode()
    return crawls.record(crawls.http(b"<p>" + body), FORGED + str(rng.randrange(10**6)), file_id="")


def quoting(rng: random.Random) -> bytes:
    """Return a page that quotes records, the last of which ends with the page."""
    quoted = b"".join(forged(rng) + b"\r\n" * rng.randint(0, 40) for _ in range(rng.randint(3, 20)))
    return b"<pre>\r\n\r\n" + quoted + forged(rng).rstrip(b"\r\n")


def holding(rng: random.Random, pack: Callable[..., bytes]) -> bytes:
    """Return an incompressible page with compressed records, some of them followed by random bytes."""
    page = bytearray(rng.randbytes(200))
    for _ in range(rng.randint(3, 20)):
        page += pack(forged(rng))
        if rng.random() < 0.5:
            page += rng.randbytes(rng.randint(1, 60))
    return bytes(page)


def bgzip(*records: bytes) -> bytes:
    """Compress the records in members of 700 bytes each, across the records' boundaries."""
    data = b"".join(records)
    return b"".join(gzip.compress(data[at : at + 700], 1) for at in range(0, len(data), 700))


PACKERS: dict[str, Callable[..., bytes]] = {
    "plain": lambda *records: b"".join(records),
    "gzip": crawls.packed,
    "zstd": crawls.zstandard,
    "one member": lambda *records: gzip.compress(b"".join(records), 1),
    "bgzip": bgzip,
}


def crawl(rng: random.Random, pack: str, file_id: str) -> list[bytes]:
    """Return records of honest pages and of pages that contain forged records."""
    makers = [quoting, lambda r: holding(r, crawls.packed), lambda r: holding(r, crawls.zstandard)]
    pages: list[bytes] = []
    for number in range(rng.randint(4, 10)):
        body = rng.choice(makers)(rng) if rng.random() < 0.5 else rng.randbytes(rng.randint(10, 900)).hex().encode()
        pages.append(crawls.record(crawls.http(b"<p>" + body), f"{GOOD}{number}", file_id=file_id))
    return pages


def addresses(rows: Iterable[dict[str, Any]]) -> list[str]:
    return [str(row["url"]) for row in rows if row.get("url")]


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("seed", range(4))
def test_parts_of_any_size_give_the_records_of_the_whole_file(tmp_path: Path, pack: str, seed: int) -> None:
    rng = random.Random(f"{pack} {seed}")
    path = tmp_path / "a.warc"
    path.write_bytes(PACKERS[pack](*crawl(rng, pack, rng.choice(["", crawls.FILE_ID]))))
    size = path.stat().st_size
    whole = list(file_rows(str(path), MAX))
    assert all(url.startswith(GOOD) for url in addresses(whole))
    assert not any(row.get("rejected", {}).get("rule") == "broken_record" for row in whole)
    for step in (37, 100, 256, 700, 1111, size // 2, size - 1, size * 2):
        anyhow = [row for at in range(0, size, step) for row in file_rows(str(path), MAX, at, min(at + step, size))]
        assert anyhow == whole, step
        parts = [Part(start, end, is_exact=True) if end else None for start, end in file_parts(str(path), step)]
        assert [row for part in parts for row in part_rows(str(path), MAX, part, Columns())] == whole, step


def damage(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    removed, inserted = {
        "flip": (1, bytes([data[at] ^ 1 << rng.randrange(8)])),
        "zero": (n := min(rng.randint(1, 600), len(data) - at), bytes(n)),
        "cut": (len(data) - at, b""),
        "delete": (min(rng.randint(1, 3000), len(data) - at), b""),
        "insert": (0, rng.randbytes(rng.randint(1, 300))),
    }[rng.choice(["flip", "zero", "cut", "delete", "insert"])]
    return data[:at] + inserted + data[at + removed :]


def read_in(rows: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the addresses that are read, and those that the quarantine names."""
    details = [row["rejected"]["detail"] for row in rows if row.get("rejected")]
    return set(addresses(rows)), {detail.partition(": ")[0] for detail in details}


@pytest.mark.parametrize("file_id", ["", crawls.FILE_ID], ids=["nameless", "numbered"])
@pytest.mark.parametrize("pack", PACKERS)
def test_damage_never_turns_page_content_into_a_record(tmp_path: Path, pack: str, file_id: str) -> None:
    path = tmp_path / "a.warc"
    n_found = 0
    for seed in range(40):
        rng = random.Random(f"{pack} {file_id} {seed}")
        path.write_bytes(damage(rng, PACKERS[pack](*crawl(rng, pack, file_id))))
        read, told = read_in(list(file_rows(str(path), MAX)))
        assert all(url.startswith(GOOD) for url in read), seed
        n_found += any(url.startswith(FORGED) for url in told)
    assert n_found or file_id, "such records were seen"


def test_a_file_that_is_cut_within_a_page(tmp_path: Path) -> None:
    """Both the page and its members reach to the end of the file; the page is recognised by how it ends."""
    rng = random.Random(1)
    members = [gzip.compress(forged(rng)) for _ in range(20)]
    page = crawls.record(crawls.http(rng.randbytes(500) + b"".join(members)), GOOD, file_id="")
    data = gzip.compress(crawls.record(file_id="")) + gzip.compress(page, 0)
    path = tmp_path / "a.warc"
    for member in members[:-1]:
        path.write_bytes(data[: data.index(member) + len(member)])
        read, told = read_in(list(file_rows(str(path), MAX)))
        assert read == {"http://example.org/tea"}
        assert any(url.startswith(FORGED) for url in told)


def test_a_guessable_warcinfo_id_proves_nothing(tmp_path: Path) -> None:
    rng = random.Random(1)
    for known in ("00000000-0000-0000-0000-000000000001", "a9c51e3e-0221-11e7-bf66-0242ac120005", "crawl 1"):
        good = crawls.record(crawls.http(b"<p>a"), GOOD + "1", file_id=known)
        fake = crawls.record(crawls.http(b"<p>x"), FORGED, file_id=known)
        quoting = crawls.record(crawls.http(b"<pre>\r\n\r\n" + fake + rng.randbytes(9)), GOOD + "2", file_id=known)
        path = tmp_path / "a.warc"
        path.write_bytes(good + b"junk" + quoting)
        read, told = read_in(list(file_rows(str(path), MAX)))
        assert (read, FORGED in told) == ({GOOD + "1"}, True)
