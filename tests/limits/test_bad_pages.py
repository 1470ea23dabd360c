"""Input that is made to overload a reader ends in a named rule, with its position, in bounded memory."""

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import crawls
from transforms.crawl.documents import file_rows
from transforms.pages.segments import pieces

MAX = 8 * 2**20
GOOD = crawls.record(url="http://example.org/good")


def found(path: Path) -> list[tuple[str, int | None]]:
    return [
        (row["rejected"]["rule"] if row.get("rejected") else row.get("drop_reason") or row["url"], row["record_offset"])
        for row in file_rows(str(path), MAX)
    ]


def page(html: bytes) -> bytes:
    return crawls.record(crawls.http(html))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (page(b"<div>" * 100_000), "too_deep"),
        (page(b"<h2>a</h2>" * 500_000), "too_many_headers"),
        (page(b"<p>\0" * 50), "undecodable"),
        (page(b"<p>" + b"tea and water " * 20 + b"\0"), "http://example.org/tea"),
        (page("<p>tea \u202e and \u2066 water".encode()), "http://example.org/tea"),
        (page(b"<p>" + b"tea and water " * 20 + b"\xed\xa0\x80"), "http://example.org/tea"),
        (crawls.record(length=10**30), "broken_record"),
        (crawls.record(extra="X-Long: " + "a" * 10**6), "broken_record"),
        (crawls.record(extra="X-Many: a\n" * 10_000), "broken_record"),
    ],
    ids=["deep", "headers", "NULs", "NUL", "right-to-left", "surrogate", "length", "long header", "many headers"],
)
@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_a_bad_page_costs_only_itself(tmp_path: Path, record: bytes, expected: str, pack: Callable[..., bytes]) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(pack(record) + pack(GOOD))
    assert found(path) == [(expected, 0), ("http://example.org/good", len(pack(record)))]


def test_invisible_content_is_not_in_the_text() -> None:
    html = "<h1>A\u202e</h1><p>tea\0 \u2066and\u2069 wa\u200bter &#xD800;"
    (piece,) = pieces(html, 1, 100)
    assert (piece["header"], piece["text"]) == ("A", "tea and water \ufffd")


def test_a_million_headers_that_only_a_parser_sees() -> None:
    (piece,) = pieces("<p role=heading>a</p>" * 20_000, 1, 100)
    assert piece["fault"] == "too_many_headers"


def test_surrogates_in_text_and_address(tmp_path: Path) -> None:
    lines = [
        {"URL": u, "ClueWeb22-ID": "i", "Clean-Text": f"{t} tea" * 99} for u, t in (("u", "\ud800"), ("\ud800", ""))
    ]
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    assert [name for name, _ in found(path)] == ["u", "broken_record"]


def test_files_that_are_not_warc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.warc.gz").write_bytes(crawls.PAGE)
    (tmp_path / "folder.warc.gz").mkdir()
    (tmp_path / "gone.warc.gz").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle.warc.gz").symlink_to(tmp_path / "circle.warc.gz")
    os.mkfifo(tmp_path / "pipe.warc.gz")
    rules = {path.name: found(path) for path in tmp_path.iterdir()}
    assert rules.pop("page.warc.gz") == [("not_a_warc", None)]
    assert set(map(tuple, rules.values())) == {(("unreadable_file", None),)}

    def refuse(path: str, mode: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "locked.warc").write_bytes(GOOD)
    monkeypatch.setattr("builtins.open", refuse)
    assert found(tmp_path / "locked.warc") == [("unreadable_file", None)]


def bomb(path: Path) -> None:
    """Write 256 MiB of zeros, 1 MB compressed, after a record that declares a hundred bytes."""
    with gzip.open(path, "wb", 1) as stream:
        stream.write(crawls.record(crawls.http(b"<p>" + b"x" * 100)))
        for _ in range(2**8):
            stream.write(bytes(2**20))
    with path.open("ab") as stream:
        stream.write(gzip.compress(GOOD))


def long_line(path: Path) -> None:
    """Write a page of 100 MB without a line break."""
    size = 100 * 10**6
    with path.open("wb") as stream:
        head, tail = crawls.record(b"|", length=size).split(b"|")
        stream.write(head)
        for _ in range(100):
            stream.write(b"tea " * 250_000)
        stream.write(tail + GOOD)


def long_text(path: Path) -> None:
    """Write 100 MB of text in one line of JSON."""
    with gzip.open(path, "wb", 0) as stream:
        stream.write(b'{"URL": "u", "ClueWeb22-ID": "i", "Clean-Text": "' + b"tea " * 25_000_000 + b'"}\n')
        stream.write(b'{"URL": "http://example.org/good", "ClueWeb22-ID": "i", "Clean-Text": "tea"}\n')


def long_row(path: Path) -> None:
    """Write a line of JSON with 100 MB of text and one with 100 MB in another field, gzipped or plain."""
    with gzip.open(path, "wb", 0) if path.suffix == ".gz" else path.open("wb") as stream:
        stream.write(b'{"url": "u", "text": "' + b"tea " * 25_000_000 + b'"}\n')
        stream.write(b'{"url": "u", "text": "tea", "html": "' + b"tea " * 25_000_000 + b'"}\n')
        stream.write(b'{"url": "http://example.org/good", "text": "tea"}\n')


def large_group(path: Path) -> None:
    """Write 300 MB of texts that do not repeat, in one row group."""
    schema = pa.schema([("url", pa.string()), ("text", pa.string()), ("other", pa.string())])
    with pq.ParquetWriter(path, schema, compression="none", write_batch_size=1) as writer:  # a page for each text
        for _ in range(3):
            texts = [random.randbytes(500_000).hex() for _ in range(50)]
            table = pa.table({"url": [""] * 50, "text": texts, "other": texts}, schema)
            writer.write_batch(table.to_batches()[0], row_group_size=10**6)
        writer.write_batch(pa.record_batch([["http://example.org/good"], ["tea"], [""]], schema=schema))


READ = r"""
import json, pathlib, re, sys
from transforms.crawl.documents import file_rows

def peak():  # getrusage's peak would include the parent process's memory
    return int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path("/proc/self/status").read_text())[1])

before = peak()
rules = [(row.get("rejected") or {"rule": row["url"]})["rule"] for row in file_rows(sys.argv[1], 8 * 2**20)]
print(json.dumps([rules, peak() - before]))
"""


@pytest.mark.parametrize(
    ("write", "name", "expected", "times"),
    [
        (bomb, "a.warc.gz", ["http://example.org/tea", "too_large", "http://example.org/good"], 4),
        (long_line, "a.warc", ["too_large", "http://example.org/good"], 4),
        (long_text, "a.json.gz", ["too_large", "http://example.org/good"], 4),
        # A line of JSON may be three times as long as its text, and is in memory twice while its parts are joined.
        (long_row, "a.jsonl", ["too_large", "too_large", "http://example.org/good"], 7),
        (long_row, "a.jsonl.gz", ["too_large", "too_large", "http://example.org/good"], 7),
        (large_group, "a.parquet", ["broken_record"] * 150 + ["http://example.org/good"], 4),
    ],
)
def test_memory_is_bounded(
    tmp_path: Path, write: Callable[[Path], None], name: str, expected: list[str], times: int
) -> None:
    """A reader needs at most `times` the largest page allowed, whatever the size of the unpacked file."""
    write(tmp_path / name)
    done = subprocess.run([sys.executable, "-c", READ, tmp_path / name], check=True, capture_output=True, text=True)
    rules, kilobytes = json.loads(done.stdout)
    assert rules == expected
    assert kilobytes < times * MAX / 1024
