"""Bad input at the command line: one sentence, the right exit code, and a lake that the next run can continue.

Other endings are elsewhere: a seed with broken lines in `test_ingest_conversations.py`; misspelt keys, no Java and a full disk in `tests/unit/test_cli.py` and
`tests/jobs/test_doctor.py`; silent endpoints and taken ports in `tests/test_end_to_end.py`.
"""

import gzip
import json
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests import crawls
from tests.conftest import Command

pytestmark = pytest.mark.spark

TEXT = b"<html><body><h1>Tea</h1><p>" + b"Water first, and then the leaves. " * 30 + b"</p></body></html>"


@pytest.fixture
def options(tmp_path: Path) -> list[object]:
    """Return the options of every command; the recipe's crawl, seed and base model do not exist yet."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'name = "bad"\nbase_model = "{tmp_path}/base"\n'
        f'ingest_documents.paths = ["{tmp_path}/crawl/*"]\ningest_conversations.paths = ["{tmp_path}/seed.jsonl"]\n'
    )
    return ["--recipe", recipe, "--lake", tmp_path / "lake"]


def rows(folder: Path, table: str) -> list[dict[str, object]]:
    return DeltaTable(str(folder / "lake" / table)).to_pyarrow_table().to_pylist()


def test_a_crawl_that_is_missing_then_damaged_then_whole(
    tmp_path: Path, options: list[object], humpback: Command
) -> None:
    missing = humpback("ingest-documents", *options)
    assert missing.code == 2
    assert f"ingest_documents.paths: no crawl file at {tmp_path}/crawl/*; name" in missing.err.splitlines()[-1]

    crawl = tmp_path / "crawl"
    crawl.mkdir()
    (crawl / "empty.warc").write_bytes(b"")
    one, other = crawls.record(crawls.http(TEXT), "http://a.org/1"), crawls.record(crawls.http(TEXT), "http://a.org/2")
    (crawl / "cut.warc.gz").write_bytes(crawls.packed(one, other)[:-30])
    unknown = crawls.http(bytes(range(32)) * 20, "Content-Type: text/html; charset=klingon")
    (crawl / "odd.warc.gz").write_bytes(crawls.packed(crawls.record(unknown, "http://a.org/3")))
    damaged = humpback("ingest-documents", *options, "--json")
    assert damaged.code == 0, damaged.err
    run = json.loads(damaged.out)
    assert run["n_in"] == run["n_out"] + sum(run["dropped"].values()) + sum(run["quarantined"].values())
    assert {(Path(q["source_file"]).name, q["rule"]) for q in rows(tmp_path, "ops/quarantine")} == {  # type: ignore[arg-type]
        ("empty.warc", "empty_file"),
        ("cut.warc.gz", "broken_record"),
        ("odd.warc.gz", "undecodable"),
        ("odd.warc.gz", "no_pages"),
    }
    assert [d["url"] for d in rows(tmp_path, "bronze/documents")] == ["http://a.org/1"]

    (crawl / "whole.warc.gz").write_bytes(crawls.packed(crawls.record(crawls.http(TEXT), "http://a.org/4")))
    later = humpback("ingest-documents", *options, "--json")
    assert later.code == 0, later.err
    assert json.loads(later.out)["n_in"] == 1, "only the new file is read"


def test_hostile_input_is_quarantined_and_the_job_continues(
    tmp_path: Path, options: list[object], humpback: Command
) -> None:
    """`tests/limits/test_bad_pages.py` tests the reader alone on such input, with its memory."""
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    bad = {
        "bomb": crawls.record() + bytes(2**27),
        "long_line": crawls.record(crawls.http(b"tea " * 25_000_000)),
        "deep": crawls.record(crawls.http(b"<div>" * 100_000)),
        "headers": crawls.record(crawls.http(b"<h2>a</h2>" * 10**6), url="http://a.org/headers"),
        "headers2": crawls.record(crawls.http(b"<h2>a" * 10**6), url="http://a.org/headers"),
        "nuls": crawls.record(crawls.http(b"<p>\0" * 50)),
        "surrogate": crawls.record(crawls.http(TEXT + b"\xed\xa0\x80"), "http://a.org/surrogate"),
        "marks": crawls.record(crawls.http(TEXT + "\u202e\0".encode()), "http://a.org/marks"),
    }
    for name, record in bad.items():
        (crawl / f"{name}.warc.gz").write_bytes(gzip.compress(record, 1))
    (crawl / "html.warc.gz").write_bytes(TEXT)
    (crawl / "folder.warc.gz").mkdir()
    (crawl / "gone.warc.gz").symlink_to(crawl / "nowhere")
    (crawl / "circle.warc.gz").symlink_to(crawl / "circle.warc.gz")
    run = humpback("ingest-documents", *options, "--json")
    assert run.code == 0, run.err
    found = {(Path(q["source_file"]).name.split(".")[0], q["rule"]) for q in rows(tmp_path, "ops/quarantine")}  # type: ignore[arg-type]
    assert found >= {
        ("bomb", "too_large"),
        ("long_line", "too_large"),
        ("deep", "too_deep"),
        ("headers", "too_large"),  # 10 MB
        ("headers2", "too_many_headers"),
        ("nuls", "undecodable"),
        ("html", "not_a_warc"),
        ("folder", "unreadable_file"),
        ("gone", "unreadable_file"),
        ("circle", "unreadable_file"),
    }
    pages = {page["url"] for page in rows(tmp_path, "bronze/documents")}
    assert pages == {"http://example.org/tea", "http://a.org/surrogate", "http://a.org/marks"}
    assert json.loads(humpback("extract-segments", *options, "--json").out)["n_in"] == 3, "one piece of each page"
    assert json.loads(humpback("ingest-documents", *options, "--json").out)["n_in"] == 0, "all files have been read"


def test_invalid_base_model_stops_the_loop_before_ingestion(
    tmp_path: Path, options: list[object], humpback: Command
) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "a.warc").write_bytes(crawls.record())
    (tmp_path / "seed.jsonl").write_text("{}\n")
    stopped = humpback("run", *options)
    assert stopped.code == 1
    assert f"{tmp_path}/base" in stopped.err.splitlines()[-1]
    assert not (tmp_path / "lake").exists()


def test_a_lake_that_cannot_be_written(tmp_path: Path, options: list[object], humpback: Command) -> None:
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "a.warc").write_bytes(crawls.record(crawls.http(TEXT)))
    (tmp_path / "lake").write_text("a file, not a folder")
    refused = humpback("ingest-documents", *options)
    assert refused.code == 1
    assert "choose another --lake" in refused.err.splitlines()[-1]
    assert (tmp_path / "lake").read_text() == "a file, not a folder"
