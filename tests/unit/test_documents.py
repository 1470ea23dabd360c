import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests import crawls
from transforms.documents import NO_PAGES, file_rows

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
    assert (row["url"], row["html"], row["charset"]) == (
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
    assert found == [expected] if expected == "kept" else found == [expected, "no_pages"]


def test_files_without_pages(tmp_path: Path) -> None:
    assert outcomes(tmp_path, b"") == ["empty_file"]
    assert outcomes(tmp_path, gzip.compress(b"")) == ["not_a_warc"]
    assert outcomes(tmp_path, crawls.PAGE) == ["not_a_warc"]
    assert outcomes(tmp_path, crawls.record(kind="request")) == ["no_pages"]
    for missing in (tmp_path / "none.warc", tmp_path):
        (row,) = file_rows(str(missing), MAX)
        assert outcome(row) == "unreadable_file"
    assert set(NO_PAGES) == {"empty_file", "not_a_warc", "no_pages", "unreadable_file"}


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
        ("warcio_example-space-in-target-uri.warc.gz", ["not_html", "no_pages"]),
        ("warcio_example-trunc.warc", ["kept"]),
        ("warcio_example-bad-non-chunked.warc.gz", ["kept"]),
        ("warcio_example-bad.warc.gz.bad", ["kept", "http_status"]),
        ("warcio_example-wrong-chunks.warc.gz", ["kept"]),
        ("warcio_example-digest.warc", ["no_pages"]),
        ("warcio_post-test.warc.gz", ["not_html", "not_html", "not_html", "no_pages"]),
        ("warcio_example.arc.gz", ["not_a_warc"]),
        ("warcio_bad.arc", ["not_a_warc"]),
    ],
)
def test_third_party_files(shared_data: Path, name: str, expected: list[str]) -> None:
    found = list(file_rows(str(shared_data / "warc" / name), 8 * 2**20))
    assert [outcome(row) for row in found] == expected
    sizes = {len(row["html"]) for row in found if outcome(row) == "kept"}
    assert sizes <= {
        1270,
        1303,
        7221,
    }  # example.com unpacked; as its resource record has it; iana.org unchunked
