import gzip
import io
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import crawls
from transforms.crawl.records import Defect, NotWarcError, Record, parse_date
from transforms.crawl.warc import header_fields, read_records

MAX = 2**20


def read(data: bytes, max_bytes: int = MAX) -> list[Record | Defect]:
    return list(read_records(io.BytesIO(data), max_bytes))


def numbered(n: int) -> list[bytes]:
    return [crawls.record(crawls.http(b"<p>%d</p>" % i), f"http://example.org/{i}") for i in range(n)]


def outcome(found: list[Record | Defect]) -> list[str]:
    return [f.rule if isinstance(f, Defect) else f.url.rpartition("/")[2] for f in found]


@pytest.mark.parametrize(
    "pack", [b"".join, lambda records: crawls.packed(*records), lambda r: gzip.compress(b"".join(r))]
)
def test_plain_gzip_members_and_one_member(pack) -> None:
    assert outcome(read(pack(numbered(3)))) == ["0", "1", "2"]


def test_record_fields() -> None:
    (found,) = read(crawls.record(extra="WARC-Identified-Payload-Type: text/html"))
    assert found == Record(
        offset=0,
        url="http://example.org/tea",
        date=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
        source_id="urn:uuid:00000000-0000-0000-0000-000000000001",
        content_type="application/http; msgtype=response",
        identified_type="text/html",
        block=crawls.http(),
    )


def test_clueweb09() -> None:
    (found,) = read(crawls.clueweb09())
    assert (found.source_id, found.date, found.url) == (
        "clueweb09-en0000-00-00000",
        None,
        "http://example.org/tea",
    )
    assert found.block.endswith(crawls.PAGE)


def test_clueweb22_with_warcinfo_without_length() -> None:
    info = crawls.record(b"software: x", kind="warcinfo", content_type="application/warc-fields", length=-1)
    (found,) = read(crawls.packed(info, crawls.clueweb22()))
    assert (found.source_id, found.url) == ("clueweb22-en0000-00-00000", "http://example.org/tea")
    assert found.block == crawls.PAGE


def test_only_responses_and_resources_are_units() -> None:
    others = [crawls.record(b"", kind="revisit"), crawls.record(b"<p>", kind="resource")]
    records = [*crawls.common_crawl(), *others]
    assert [f.block for f in read(b"".join(records))][1:] == [b"<p>"]


def test_wget_brackets_around_the_address() -> None:
    (found,) = read(crawls.record(url="<http://example.org/tea>"))
    assert found.url == "http://example.org/tea"


def test_offsets_are_of_the_record() -> None:
    records = [gzip.compress(r) for r in numbered(3)]
    assert [f.offset for f in read(b"".join(records))] == [
        0,
        len(records[0]),
        len(records[0]) + len(records[1]),
    ]


def test_file_cut_in_the_middle() -> None:
    plain, zipped = b"".join(numbered(3)), crawls.packed(*numbered(3))
    assert outcome(read(plain[:-30])) == ["0", "1", "broken_record"]
    assert outcome(read(zipped[:-30])) == ["0", "1", "broken_record"]


def test_damaged_member_costs_only_itself() -> None:
    first, second, third = (gzip.compress(r) for r in numbered(3))
    damaged = second[:40] + b"\0" * 30 + second[70:]
    assert outcome(read(first + damaged + third)) == ["0", "broken_record", "2"]
    assert outcome(read(first + b"junk" + third)) == ["0", "broken_record", "2"]


def test_damage_at_the_start() -> None:
    first, second = (gzip.compress(r) for r in numbered(2))
    assert outcome(read(first[:20] + b"\0" * 20 + second)) == ["broken_record", "1"]
    assert outcome(read(b"\0" + first[1:] + second)) == ["broken_record", "1"], "no magic number"
    first, second = map(crawls.zstandard, numbered(2))
    assert outcome(read(b"\0" + first[1:] + second)) == ["broken_record", "1"]


def test_length_too_large_reaches_into_the_next_record() -> None:
    block = crawls.http(b"<p>long</p>")
    records = [crawls.record(block, "http://example.org/0", length=len(block) + 30), *numbered(3)[1:]]
    assert outcome(read(b"".join(records))) == ["broken_record", "0", "1", "2"]


def test_length_too_small() -> None:
    block = crawls.http(b"<p>short</p>")
    records = [crawls.record(block, "http://example.org/0", length=len(block) - 2), *numbered(3)[1:]]
    found = read(b"".join(records))
    assert outcome(found) == ["0", "broken_record", "1", "2"], "the bytes left over are named"
    assert found[0].block == block, "its digest tells where it ends"


def unnumbered(n: int, **told: Any) -> list[bytes]:
    """As ClueWeb12 has them: they name no number of their file, and no digest."""
    block = crawls.http(b"<p>tea</p>")
    return [crawls.record(block, f"http://example.org/{i}", file_id="", **told) for i in range(n)]


@pytest.mark.parametrize("off", [-2, 30, 10**9])
def test_records_after_a_wrong_length_need_proof(off: int) -> None:
    wrong = unnumbered(1, length=len(crawls.http(b"<p>tea</p>")) + off)
    plain = outcome(read(b"".join(wrong + unnumbered(3)[1:])))
    assert [rule for rule in plain if rule != "broken_record"][-2:] == ["inside_another_record"] * 2
    assert sorted(outcome(read(crawls.packed(*wrong, *unnumbered(3)[1:])))) == ["0", "1", "2", "broken_record"]


def test_after_damage_a_length_alone_proves_nothing() -> None:
    first, second, third = unnumbered(3)
    assert outcome(read(first + second.replace(b"WARC/1.0", b"WARB/1.0") + third)) == [
        "0",
        "broken_record",
        "inside_another_record",
    ]
    packed = [gzip.compress(r) for r in (first, second, third)]
    packed[1] = packed[1][:40] + bytes(30) + packed[1][70:]
    assert outcome(read(b"".join(packed))) == ["0", "broken_record", "2"], "members whole to the end of the file"
    assert outcome(read(b"".join(packed)[:-9])) == ["0", "broken_record", "inside_another_record", "broken_record"]


def test_a_block_with_a_wrong_digest() -> None:
    """Bytes are lost between two pages, and the first now ends by its length where the second quotes a record."""
    quoted = crawls.record(url="http://example.org/quoted", file_id="")
    first = crawls.record(crawls.http(b"<p>" + b"tea " * 50), "http://example.org/0")
    second = crawls.record(crawls.http(b"<p>" + b"x" * 500 + b"\r\n" * 8 + quoted), "http://example.org/1")
    spliced = first[:-100] + second[second.index(b"\r\n" * 8) - 96 :]
    assert outcome(read(spliced)) == ["0", "quoted"], "nothing shows it yet"
    assert outcome(read(numbered(1)[0] + spliced + numbered(3)[2])) == [
        "0",
        "broken_record",
        "inside_another_record",
        "2",
    ]


def test_a_highly_compressed_record_is_not_a_bomb() -> None:
    """Who owns a page can't have all behind it called damaged."""
    large = crawls.record(crawls.http(bytes(100 * 2**20)), "http://example.org/large", file_id="")
    assert outcome(read(crawls.packed(large, *unnumbered(2)))) == ["too_large", "0", "1"]


def test_an_address_longer_than_the_header_limit() -> None:
    long = crawls.record(url="http://example.org/" + "a" * 2**17, file_id="")
    assert outcome(read(long + b"".join(unnumbered(2)))) == ["broken_record", "0", "1"]


def test_a_member_counts_only_after_its_checksum_is_verified() -> None:
    data = bytearray(gzip.compress(b"".join(unnumbered(4)), 0))  # stored as it is
    data[data.index(b"<p>tea")] ^= 1
    assert outcome(read(bytes(data))) == ["broken_record", *["inside_another_record"] * 3, "broken_record"]
    assert outcome(read(bytes(data)[:-8])) == ["0", "1", "2", "3", "broken_record"], "cut, and not seen to be damaged"


def test_record_without_length() -> None:
    assert outcome(read(crawls.record(length=-1) + numbered(1)[0]))[0] == "broken_record"


def test_record_over_the_bound_is_not_read() -> None:
    big = crawls.record(crawls.http(b"x" * 400_000), "http://example.org/big")
    assert outcome(read(big + numbered(1)[0], max_bytes=100_000)) == ["too_large", "0"]


def test_a_wrong_length_over_the_limit_costs_no_other_record() -> None:
    assert outcome(read(crawls.record(length=10**9) + b"".join(numbered(2)))) == [
        "too_large",
        "broken_record",
        "0",
        "1",
    ]


def test_an_unknown_type_is_reported_and_skipped() -> None:
    assert outcome(read(crawls.record(kind="responsf") + numbered(1)[0])) == ["broken_record", "0"]


def test_no_type_an_unknown_version_and_two_lengths() -> None:
    lower = crawls.record(url="http://example.org/0").replace(b"WARC-Type", b"warc-type")
    lower = lower.replace(b"Content-Length", b"content-length")
    typeless = crawls.record().replace(b"WARC-Type: response\r\n", b"")
    unknown = crawls.record(version="1.7")
    n = len(crawls.http())
    two_lengths = crawls.record(extra=f"Content-Length: {n}").replace(
        b"WARC-Type: response", b"Content-Length: %d\r\nContent-Length: 5\r\nWARC-Type: response" % n
    )
    for bad in (typeless, unknown, two_lengths):
        found = read(lower + bad + numbered(2)[1])
        assert outcome(found) == ["0", "broken_record", "1"]
        assert found[1].offset == len(lower)


def test_a_record_over_two_members() -> None:
    data = b"".join(numbered(2))
    assert outcome(read(gzip.compress(data[:300]) + gzip.compress(data[300:]))) == ["0", "1"]


def test_a_record_truncated_before_compression() -> None:
    first, second = numbered(2)
    assert outcome(read(crawls.packed(first[:-12], second))) == ["broken_record", "0", "1"]


def test_header_values_with_a_line_break_and_in_no_unicode() -> None:
    raw = crawls.record(url="http://example.org/te\r\na").replace(b"/te", b"/t\xe9")
    assert [f.url for f in read(raw) if isinstance(f, Record)] == ["http://example.org/t\xe9a"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"X: a\nY : b\nZ:c:d", {"x": "a", "y": "b", "z": "c:d"}),
        (b"X: a\n b\n\tc\nY:", {"x": "a b c", "y": ""}),
        (b"X: http://a.org/t\nea\ny?z\nY: b", {"x": "http://a.org/teay?z", "y": "b"}),
        (b"X: first\nx: second", {"x": "first"}),
        (b"X: \xc3\xa4\nY: \xe4\nZ: a\rb \t", {"x": "ä", "y": "ä", "z": "a\rb"}),
        (b"Content-Length: 5\ncontent-length:  5", {"content-length": "5"}),
        (b"Content-Length: 5\nContent-Length: 6", {"content-length": "5 and 6"}),
        (b"X:" + b" " * 60_000 + b"a" + b"\n " * 1000, {"x": "a"}),
    ],
)
@pytest.mark.parametrize("eol", [b"\n", b"\r\n"])
def test_header_fields(lines: bytes, expected: dict[str, str], eol: bytes) -> None:
    assert header_fields((b"WARC/1.0\n" + lines + b"\n\n").replace(b"\n", eol)) == expected


@pytest.mark.parametrize("data", [b"<html>" * 100, gzip.compress(b"<html>" * 100), b"\x1f\x8b\x08junk", b"\0" * 99])
def test_no_warc(data: bytes) -> None:
    with pytest.raises(NotWarcError):
        read(data)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2009-03-65T08:43:19-0800", None),
        ("2008-10-294T00:00:00Z", None),
        ("", None),
        ("2012-02-10T21:51:20Z", datetime(2012, 2, 10, 21, 51, 20, tzinfo=UTC)),
        ("2012-02-10T23:51:20+02:00", datetime(2012, 2, 10, 21, 51, 20, tzinfo=UTC)),
        ("2012-02-10T21:51:20", datetime(2012, 2, 10, 21, 51, 20, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_dates(text: str, date: datetime | None) -> None:
    assert parse_date(text) == date


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.integers(0, 2000), st.integers(0, 80), st.binary(max_size=60))
def test_any_damage_leaves_the_records_before_it(zipped: bool, at: int, removed: int, inserted: bytes) -> None:
    records = [gzip.compress(r) if zipped else r for r in numbered(4)]
    data = b"".join(records)
    at %= len(data)
    damaged = data[:at] + inserted + data[at + removed :]
    n_before = sum(end < at for end in accumulate(map(len, records)))
    try:
        found = read(damaged)
    except NotWarcError:
        assert n_before == 0
        return
    assert outcome(found)[:n_before] == [str(i) for i in range(n_before)]
    assert all(f.offset <= len(damaged) for f in found)
