"""Parquet and JSONL of texts: each row once, whatever the parts; each defect by its rule and place."""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import crawls
from transforms.crawl.documents import file_rows
from transforms.crawl.jsonl import PROBED
from transforms.crawl.records import Columns

MAX = 10_000
GOOD = {"url": "http://a.org/good", "text": "Good tea."}
NAMES = ["a.parquet", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst"]

Row = dict[str, Any]


def rows(path: Path, part: int | None = None, columns: Columns | None = None) -> list[Row]:
    size = path.stat().st_size
    parts = [(at, min(at + part, size)) for at in range(0, size, part)] if part else [(None, None)]
    return [row for start, end in parts for row in file_rows(str(path), MAX, start, end, columns or Columns())]


def outcome(row: Row) -> str:
    return row["rejected"]["rule"] if row.get("rejected") else row.get("drop_reason") or "kept"


def write_parquet(path: Path, table: list[Row] | pa.Table, **options: Any) -> None:
    pq.write_table(pa.Table.from_pylist(table) if isinstance(table, list) else table, path, **options)


def write_lines(path: Path, lines: list[bytes]) -> None:
    pack = {".gz": gzip.compress, ".zst": crawls.zstandard}.get(path.suffix, bytes)
    path.write_bytes(pack(b"\n".join(lines)))


def write(path: Path, table: list[Row]) -> None:
    if path.suffix == ".parquet":
        write_parquet(path, table)
    else:
        write_lines(path, [json.dumps(row).encode() for row in table])


def fineweb(n: int) -> pa.Table:
    """Rows in FineWeb's layout, and a nested column that it does not have."""
    rng = random.Random(n)
    strings = {
        "id": [f"<urn:uuid:{i}>" if i % 7 else None for i in range(n)],
        "dump": ["CC-MAIN-2024-10"] * n,
        "url": [f"http://a.org/{i}" for i in range(n)],
        "date": [f"2024-02-{1 + i % 28:02}T10:20:30Z" if i % 5 else None for i in range(n)],
        "file_path": ["s3://commoncrawl/1.warc.gz"] * n,
        "language": ["en"] * n,
    }
    return pa.table(
        {
            "text": pa.array(
                [f"Text {i}. " + rng.randbytes(rng.randrange(400)).hex() for i in range(n)], pa.large_string()
            )
        }
        | {name: pa.array(values).dictionary_encode() for name, values in strings.items()}
        | {"language_score": pa.array([0.9] * n), "token_count": pa.array(range(n))}
        | {"nested": pa.array([{"text": ["x"], "url": {"date": "1"}}] * n)}
    )


@pytest.mark.parametrize("group", [1, 7, 50, 1000])
@pytest.mark.parametrize("part", [None, 100, 3_000, 10**6])
def test_each_row_of_a_parquet_file_once(tmp_path: Path, group: int, part: int | None) -> None:
    table = fineweb(50)
    write_parquet(tmp_path / "a.parquet", table, row_group_size=group)
    found = rows(tmp_path / "a.parquet", part)
    assert [row["record_offset"] for row in found] == list(range(50))
    assert [(row["url"], row["content"]) for row in found] == [(r["url"], r["text"]) for r in table.to_pylist()]
    assert {(row["charset"], row["media_type"], *row["robots"], *row["licences"]) for row in found} == {
        ("utf-8", "text/plain")
    }
    assert [row["source_id"] for row in found[:2]] == ["record at 0", "urn:uuid:1"]
    assert [row["crawled_at"] for row in found[:2]] == [None, datetime(2024, 2, 2, 10, 20, 30, tzinfo=UTC)]
    assert len({row["document_id"] for row in found}) == 50


def test_equal_address_and_text_is_one_document(tmp_path: Path) -> None:
    for name in NAMES:
        write(tmp_path / name, [GOOD, GOOD, GOOD | {"url": "http://a.org/other"}])
    ids = [[row["document_id"] for row in rows(tmp_path / name)] for name in NAMES]
    assert ids == ids[:1] * 4
    assert (len(set(ids[0])), ids[0][0]) == (2, ids[0][1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"url": None}, "broken_record"),
        ({"text": None}, "broken_record"),
        ({"url": " "}, "broken_record"),
        ({"url": "http://a.org/" + "a" * 2**16}, "broken_record"),
        ({"text": " \n\t\u3000"}, "empty_body"),
        ({"text": ""}, "empty_body"),
        ({"text": "ä" * (MAX // 2)}, "kept"),
        ({"text": "ä" * (MAX // 2) + "a"}, "too_large"),
        ({"text": "a" * MAX * 2}, "too_large"),
        ({"text": "\0" * 50}, "undecodable"),
        ({"date": "2024-02-31"}, "kept"),
    ],
)
def test_each_outcome(tmp_path: Path, name: str, bad: Row, expected: str) -> None:
    write(tmp_path / name, [GOOD, GOOD | bad, GOOD])
    found = rows(tmp_path / name)
    assert [outcome(row) for row in found] == ["kept", expected, "kept"]
    places = {"a.parquet": 1, "a.jsonl": len(json.dumps(GOOD)) + 1}
    assert found[1]["record_offset"] == places.get(name, 2)
    assert found[1].get("crawled_at") is None


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize(
    "line",
    [
        b"{broken",
        b"[1, 2]",
        b"[" * 5000,
        b'{"text": "no address"}',
        b'{"url": 1, "text": "tea"}',
        b'{"url": "u", "text": ["tea"]}',
        b'{"url": "u", "text": "\\ud800 tea"}',
        b'{"url": "\\udfff", "text": "tea"}',
        b'{"url": "u", "text": "tea", "id": "\\ud800"}',
        b'{"url": "u", "text": "\xff"}',
        b'{"url": "u", "text": "\xed\xa0\x80"}',
    ],
)
def test_a_broken_line_costs_only_itself(tmp_path: Path, name: str, line: bytes) -> None:
    good = json.dumps(GOOD).encode()
    write_lines(tmp_path / name, [good, line, b" ", good])
    assert [outcome(row) for row in rows(tmp_path / name)] == ["kept", "broken_record", "kept"]
    write_lines(tmp_path / name, [line, good, b""])
    assert [outcome(row) for row in rows(tmp_path / name)] == ["broken_record", "kept"], "as well as the first"


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_line_that_is_too_long(tmp_path: Path, name: str) -> None:
    good = json.dumps(GOOD).encode()
    other = json.dumps(GOOD | {"html": "x" * 2 * 2**20}).encode()
    write_lines(tmp_path / name, [good, other, good])
    assert [outcome(row) for row in rows(tmp_path / name)] == ["kept", "too_large", "kept"]
    assert [outcome(row) for row in rows(tmp_path / name, 2**16)] == ["kept", "too_large", "kept"]


def test_parquet_types_that_writers_use(tmp_path: Path) -> None:
    """Texts without a type or as views, dates of each kind, and what Python has no date for."""
    day = datetime(2024, 2, 3, tzinfo=UTC)
    dates: dict[str, tuple[pa.Array[Any], list[datetime | None]]] = {
        "date32": (pa.array([date(2024, 2, 3), None], pa.date32()), [day, None]),
        "ns": (pa.array([1706918400 * 10**9 + 1, 2**62], pa.timestamp("ns")), [day, datetime(2116, 2, 20, 23, 53, 38, 427387, UTC)]),
        "us": (pa.array([1706918400 * 10**6, 2**62], pa.timestamp("us", "+02:00")), [day, None]),
        "ms": (pa.array([1706918400 * 10**3, -(2**62)], pa.timestamp("ms", "UTC")), [day, None]),
        "float": (pa.array([float("nan"), 1.0]), [None, None]),
        "struct": (pa.array([{"a": 1}, None]), [None, None]),
    }  # fmt: skip
    texts = [pa.array(["a", "b"], kind) for kind in (pa.binary(), pa.large_binary(), pa.string_view(), pa.string())]
    for number, (values, expected) in enumerate(dates.values()):
        table = pa.table({"url": texts[number % 4], "text": texts[-number % 4], "date": values, "id": pa.array([1, 2])})
        write_parquet(tmp_path / "a.parquet", table)
        found = rows(tmp_path / "a.parquet")
        assert [(r["url"], r["content"], r["source_id"]) for r in found] == [("a", "a", "1"), ("b", "b", "2")]
        assert [row["crawled_at"] for row in found] == expected
    table = pa.table({"url": pa.nulls(2), "text": pa.array([b"a", b"\xff"], pa.binary())})
    write_parquet(tmp_path / "a.parquet", table)
    assert [outcome(row) for row in rows(tmp_path / "a.parquet")] == ["broken_record"] * 2
    table = pa.table({"url": ["a", "b"], "text": pa.array([b"a", b"\xff"], pa.binary()).view(pa.string())})
    write_parquet(tmp_path / "a.parquet", table)
    assert [outcome(row) for row in rows(tmp_path / "a.parquet")] == ["kept", "broken_record"], "not UTF-8"


def test_truncated_damaged_and_invalid_parquet_files(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path, fineweb(50), row_group_size=20, write_page_checksum=True)
    whole = path.read_bytes()
    in_text = bytearray(whole)
    in_text[200] ^= 1
    for data in (whole[:-1], whole[:200], whole[200:], b"PAR1", b"tea" * 99, bytes(in_text)):
        path.write_bytes(data)
        assert [outcome(row) for row in rows(path)][-1] == "unreadable_file"
    path.write_bytes(b"")
    assert [outcome(row) for row in file_rows(str(path), MAX)] == ["empty_file"]
    write_parquet(path, fineweb(0))
    assert rows(path) == []


@pytest.mark.parametrize("name", NAMES)
def test_columns_that_are_not_there_are_named(tmp_path: Path, name: str) -> None:
    table = [{"address": f"http://a.org/{i}", "body": f"Tea {i}.", "id": i} for i in range(3)]
    write(tmp_path / name, table)
    (row,) = rows(tmp_path / name)
    assert outcome(row) == "unreadable_file"
    assert row["rejected"]["detail"].replace(" (string)", "").replace(" (int64)", "") == (
        "it lacks an address column 'url' or a text column 'text'; it has address, body, id: "
        "set ingest_documents.url_column and ingest_documents.text_column"
    )
    found = rows(tmp_path / name, columns=Columns(url="address", text="body"))
    assert [(row["url"], row["content"], row["source_id"]) for row in found] == [
        (f"http://a.org/{i}", f"Tea {i}.", str(i)) for i in range(3)
    ]
    assert outcome(rows(tmp_path / name, columns=Columns("id", "body"))[0]) in ("unreadable_file", "broken_record")


def test_a_file_of_other_json_is_abandoned_early(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"no JSON\n" * (PROBED + 10))
    (row,) = rows(path)
    assert outcome(row) == "unreadable_file"
    path.write_bytes(b"no JSON\n" * (PROBED - 1) + json.dumps(GOOD).encode())
    assert [outcome(row) for row in rows(path)] == ["broken_record"] * (PROBED - 1) + ["kept"]
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"url": "u"}' * 5)
    assert [outcome(row) for row in rows(path, 20)] == ["kept"] + ["broken_record"] * 5, "the last parts have no text"
    path.write_bytes(b'{"url": null, "text": null}\n' * (PROBED + 1))
    assert {outcome(row) for row in rows(path)} == {"broken_record"}, "the columns are there"


LINE = st.one_of(
    st.builds(
        lambda url, text: json.dumps({"url": url, "text": text}, ensure_ascii=False).encode(),
        st.integers().map(lambda n: f"http://a.org/{n}"),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    ),
    st.sampled_from([b"", b" \t", b"{broken", b"\r", b"WARC/1.0\r"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINE, max_size=20), st.integers(1, 400), st.booleans())
def test_the_parts_of_a_jsonl_file_give_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], part: int, ends: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "parts.jsonl"
    data = b"\n".join([json.dumps(GOOD).encode(), *lines]) + b"\n" * ends
    path.write_bytes(data)
    whole = rows(path)
    assert len(whole) == 1 + sum(bool(line.strip()) for line in lines)
    assert rows(path, part) == whole
    assert all(data[:place].endswith(b"\n") for row in whole if (place := row["record_offset"]))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.jsonl"])
def test_a_compressed_file_is_read_in_its_first_part(tmp_path: Path, name: str) -> None:
    """Its lines may lie over two members; what the name says does not matter."""
    pack: Callable[[bytes], bytes] = crawls.zstandard if name.endswith("zst") else gzip.compress
    data = b"".join(json.dumps(GOOD | {"text": f"Tea {i}."}).encode() + b"\n" for i in range(20))
    path = tmp_path / name
    path.write_bytes(pack(data[:300]) + pack(b"") + pack(data[300:]))
    found = rows(path, 50)
    assert found == rows(path)
    assert [(row["content"], row["record_offset"]) for row in found] == [(f"Tea {i}.", i + 1) for i in range(20)]


def test_damage_in_a_compressed_file_costs_only_its_member(tmp_path: Path) -> None:
    def members() -> Iterator[bytes]:
        for i in range(4):
            lines = [GOOD | {"text": f"Tea {i}.{n} " + random.Random(i).randbytes(200).hex()} for n in range(5)]
            yield gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())

    packed = list(members())
    packed[1] = packed[1][:150] + bytes(50) + packed[1][200:]
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"".join(packed))
    kept = [row["content"][:5] for row in rows(path) if outcome(row) == "kept"]
    assert [kept.count(f"Tea {i}") for i in (0, 2, 3)] == [5, 5, 5]
    assert {outcome(row) for row in rows(path)} == {"kept", "broken_record"}
    path.write_bytes(gzip.compress(b"".join(map(gzip.decompress, packed[2:])))[:-20])
    found = [outcome(row) for row in rows(path)]
    assert (found[-1], set(found[:-1])) == ("broken_record", {"kept"})
