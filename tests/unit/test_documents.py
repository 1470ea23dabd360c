import gzip
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import crawls
from transforms.crawl.documents import file_rows

MAX = 100_000


def outcomes(folder: Path, data: bytes) -> list[str]:
    return [outcome(row) for row in rows(folder, data)]


def rows(folder: Path, data: bytes) -> list[dict[str, Any]]:
    path = folder / "crawl.warc"
    path.write_bytes(data)
    return list(file_rows(str(path), MAX))


def outcome(row: dict[str, Any]) -> str:
    return row["rejected"]["rule"] if row.get("rejected") else row.get("drop_reason") or "kept"


def test_row_of_a_page(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, crawls.record())
    assert (row["url"], row["content"], row["charset"]) == (
        "http://example.org/tea",
        crawls.PAGE.decode(),
        "utf-8",
    )
    assert (row["source_file"], row["record_offset"]) == (str(tmp_path / "crawl.warc"), 0)
    assert row["payload_digest"] == hashlib.sha256(crawls.PAGE).hexdigest()


def test_id_depends_on_address_and_bytes_only(tmp_path: Path) -> None:
    same = [
        crawls.record(),
        crawls.record(date="2020-01-01T00:00:00Z"),
        crawls.clueweb22(),
        crawls.clueweb09(),
    ]
    other = [crawls.record(url="http://example.org/coffee"), crawls.record(crawls.http(b"<p>other</p>"))]
    ids = [row["document_id"] for row in rows(tmp_path, b"".join(same + other))]
    assert len(set(ids[:4])) == 1
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (crawls.record(), "kept"),
        (crawls.clueweb09(), "kept"),
        (crawls.clueweb22(), "kept"),
        (b"".join(crawls.common_crawl()), "kept"),
        (crawls.record(crawls.PAGE, kind="resource", content_type="text/html"), "kept"),
        (crawls.record(b"\x89PNG", kind="resource", content_type="image/png"), "not_html"),
        (crawls.record(crawls.http(b"%PDF", "Content-Type: application/pdf")), "not_html"),
        (crawls.record(crawls.http(status="301 Moved")), "http_status"),
        (crawls.record(crawls.http(b" \n")), "empty_body"),
        (crawls.record(crawls.http(b"x" * (MAX + 1))), "too_large"),
        (crawls.record(crawls.http(gzip.compress(b"x" * 10**7))), "too_large"),
        (
            crawls.record(crawls.http("ä".encode("cp1252") * 60_000, "Content-Type: text/html; charset=l1")),
            "too_large",
        ),
        (crawls.record(crawls.http(bytes(range(32)) * 20, "Content-Type: text/html")), "undecodable"),
        (crawls.record(url=""), "broken_record"),
        (crawls.record(length=-1), "broken_record"),
    ],
)
def test_each_outcome(tmp_path: Path, record: bytes, expected: str) -> None:
    found = outcomes(tmp_path, record)
    assert found == [expected]


def test_files_without_pages(tmp_path: Path) -> None:
    assert outcomes(tmp_path, b"") == ["empty_file"]
    assert outcomes(tmp_path, gzip.compress(b"")) == ["not_a_warc"]
    assert outcomes(tmp_path, crawls.PAGE) == ["not_a_warc"]
    assert outcomes(tmp_path, crawls.record(kind="request")) == []
    for missing in (tmp_path / "none.warc", tmp_path):
        (row,) = file_rows(str(missing), MAX)
        assert outcome(row) == "unreadable_file"


def test_plain_text_of_a_crawl_is_a_page_without_markup(tmp_path: Path) -> None:
    text = "Tea & <water>.\nHTTP/1.1 is no header here."
    (row,) = rows(tmp_path, crawls.record(text.encode(), kind="conversion", content_type="text/plain"))
    assert (row["media_type"], row["content"], row["licences"]) == ("text/plain", text, [])


def test_zstandard(tmp_path: Path) -> None:
    table = b"\x5e\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"seek"  # a frame to be skipped
    first, second = crawls.zstandard(crawls.record()), crawls.zstandard(crawls.record(url="http://example.org/2"))
    assert outcomes(tmp_path, first + table + second) == ["kept", "kept"]
    assert outcomes(tmp_path, first + b"junk" + second) == ["kept", "broken_record", "kept"]


def test_arc_files_are_reported(tmp_path: Path) -> None:
    arc = b"filedesc://a.arc 0.0.0.0 20000101000000 text/plain 9\n1 0 Tea\n\n\n"
    for data in (arc, gzip.compress(arc)):
        (row,) = rows(tmp_path, data)
        assert outcome(row) == "not_a_warc"
        assert "an ARC file" in row["rejected"]["detail"]


def text_line(number: int, **changed: object) -> bytes:
    value = {"URL": f"http://example.org/{number}\n", "ClueWeb22-ID": f"clueweb22-en0000-00-{number:05}",
             "Clean-Text": f"Text number {number}.", "Language": "en"}  # fmt: skip
    return json.dumps(value | changed).encode() + b"\n"


def test_a_line_nested_too_deep_for_a_json_parser(tmp_path: Path) -> None:
    path = tmp_path / "en0000-00.json.gz"
    path.write_bytes(gzip.compress(b"[" * 5000 + b"\n" + text_line(1)))
    assert [outcome(row) for row in file_rows(str(path), MAX)] == ["broken_record", "kept"]


@pytest.mark.parametrize("in_one", [True, False], ids=["one member", "a member for each"])
def test_clueweb22_text(tmp_path: Path, in_one: bool) -> None:
    lines = [text_line(0), b"{broken\n", text_line(2, **{"Clean-Text": None}), text_line(3, **{"Clean-Text": "x" * MAX * 2}),
             text_line(4)]  # fmt: skip
    path = tmp_path / "en0000-00.json.gz"
    members = [gzip.compress(b"".join(lines))] if in_one else [gzip.compress(line) for line in lines]
    path.write_bytes(b"".join(members))
    found = list(file_rows(str(path), MAX))
    assert [outcome(row) for row in found] == ["kept", "broken_record", "broken_record", "too_large", "kept"]
    assert (found[0]["url"], found[0]["source_id"]) == ("http://example.org/0", "clueweb22-en0000-00-00000")
    assert found[4]["content"] == "Text number 4."
    assert found[4]["record_offset"] == (0 if in_one else sum(map(len, members[:4])))

    path.write_bytes(b"".join(members)[:-9])
    assert [outcome(row) for row in file_rows(str(path), MAX)][-1] == "broken_record"
    path.write_bytes(gzip.compress(text_line(0)) + gzip.compress(b"[1, 2]\n") + gzip.compress(text_line(2)))
    assert [outcome(row) for row in file_rows(str(path), MAX)] == ["kept", "broken_record", "kept"]
    path.write_bytes(gzip.compress(b"[1, 2]\n"))
    assert [outcome(row) for row in file_rows(str(path), MAX)] == ["broken_record", "not_a_warc"]


PACKERS: dict[str, Callable[..., bytes]] = {
    "a.warc": lambda *records: b"".join(records),
    "a.warc.gz": crawls.packed,
    "a.warc.zst": crawls.zstandard,
    "a.json.gz": crawls.packed,
}


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("part", [60, 700, 5000])
def test_the_parts_of_a_file_give_each_record_once(tmp_path: Path, name: str, part: int) -> None:
    rng = random.Random(part)
    pages = [rng.randbytes(rng.randint(1, 1500)).hex() for _ in range(12)]
    records = [crawls.record(crawls.http(p.encode()), f"http://example.org/{i}") for i, p in enumerate(pages)]
    if name == "a.json.gz":
        records = [text_line(i, **{"Clean-Text": p}) for i, p in enumerate(pages)]
    path = tmp_path / name
    path.write_bytes(PACKERS[name](*records))
    size = path.stat().st_size
    parts = [file_rows(str(path), MAX, at, min(at + part, size)) for at in range(0, size, part)]
    found = [row for rows in parts for row in rows]
    assert found == list(file_rows(str(path), MAX))
    assert [row["url"] for row in found] == [f"http://example.org/{i}" for i in range(12)]


@pytest.mark.parametrize("name", ["a.warc.gz", "a.warc.zst"])
def test_a_file_that_is_one_member_is_read_in_its_first_part(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PACKERS[name](crawls.record() * 3))
    assert [len(list(file_rows(str(path), MAX, at, at + 100))) for at in range(0, path.stat().st_size, 100)][:2] == [
        3,
        0,
    ]


def test_readable_records_of_a_cut_file_stay(tmp_path: Path) -> None:
    records = crawls.packed(crawls.record(), crawls.record(url="http://example.org/2"))
    assert outcomes(tmp_path, records[:-20]) == ["kept", "broken_record"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("warcio_example.warc", ["kept"]),
        ("warcio_example.warc.gz", ["kept"]),
        ("warcio_example-iana.org-chunked.warc", ["kept"]),
        ("warcio_example-resource.warc.gz", ["kept"]),
        ("warcio_example-wget-bad-target-uri.warc.gz", ["kept", "not_html", "not_html"]),
        ("warcio_example-space-in-target-uri.warc.gz", ["not_html"]),
        ("warcio_example-trunc.warc", ["kept", "broken_record"]),
        ("warcio_example-bad-non-chunked.warc.gz", ["kept"]),
        ("warcio_example-bad.warc.gz.bad", ["kept", "http_status"]),
        ("warcio_example-wrong-chunks.warc.gz", ["kept"]),
        ("warcio_example-digest.warc", []),
        ("warcio_post-test.warc.gz", ["not_html", "not_html", "not_html"]),
        ("warcio_example.arc.gz", ["not_a_warc"]),
        ("warcio_bad.arc", ["not_a_warc"]),
    ],
)
def test_third_party_files(shared_data: Path, name: str, expected: list[str]) -> None:
    found = list(file_rows(str(shared_data / "warc" / name), 8 * 2**20))
    assert [outcome(row) for row in found] == expected
    sizes = {len(row["content"]) for row in found if outcome(row) == "kept"}
    assert sizes <= {
        1270,
        1303,
        7221,
    }  # example.com unpacked; as its resource record has it; iana.org unchunked
