"""From WARC files to the pool, on a real lake: accounts, increments, defects, and second runs that write nothing."""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs import extract_segments, find_duplicates, ingest_documents, select_unlabelled, sign_segments
from jobs.cli.explain import explain
from jobs.errors import RecipeError
from jobs.lake import jvm
from jobs.lake.materialised import materialised
from jobs.lake.runs import Run
from jobs.lake.view import LakeView
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import duplicates_digest, segments_digest
from jobs.recipe.step import Step
from schemas.bronze import DOCUMENTS
from schemas.ops import QUARANTINE, RUNS
from schemas.silver import DUPLICATES, OVERLAPS, SEED_PAIRS, SEGMENTS, SIGNATURES, UNLABELLED
from tests import crawls
from tests.conftest import RunJob
from tests.planted import plant
from transforms.crawl.documents import ROWS, UNREADABLE, of_whole_files
from transforms.dedup.signatures import signatures_from

JOBS = (ingest_documents, extract_segments, sign_segments, find_duplicates, select_unlabelled)
NOUNS = ["kettle", "water", "leaf", "cup", "pot", "spoon", "window", "garden", "river", "bridge", "road", "letter"]
VERBS = ["holds", "warms", "fills", "carries", "opens", "crosses", "reaches", "follows", "finds", "keeps"]


def prose(seed: int, n_chars: int = 800) -> str:
    """Return English-looking sentences that do not repeat."""
    rng, text = random.Random(seed), ""
    while len(text) < n_chars:
        one, other, third = rng.sample(NOUNS, 3)
        text += (
            f"The old {one} in the {other} {rng.choice(VERBS)} the {third} that I saw on day {rng.randrange(10**6)}. "
        )
    return text


def page(*sections: tuple[str, str]) -> bytes:
    body = "".join(f"<h2>{header}</h2><p>{text}</p>" for header, text in sections)
    return f"<html><body>{body}</body></html>".encode()


def response(url: str, body: bytes, date: str = "2024-05-06T07:08:09Z") -> bytes:
    return crawls.record(crawls.http(body), url, date=date)


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    folder = tmp_path / "crawl"
    folder.mkdir()
    first = [
        response("http://a.org/1", page(("Tea", prose(1)), ("Coffee", prose(2)), ("Short", "too little"))),
        response("http://a.org/2", page(("Tea again", prose(1)), ("LOUD", prose(3)))),
        response("http://a.org/1", page(("Tea", prose(1)), ("Coffee", prose(2)), ("Short", "too little"))),
        crawls.record(crawls.http(b"%PDF", "Content-Type: application/pdf"), "http://a.org/3"),
    ]
    (folder / "first.warc.gz").write_bytes(crawls.packed(*first))
    (folder / "empty.warc").write_bytes(b"")
    cut = crawls.packed(response("http://a.org/4", page(("Milk", prose(4)))), response("http://a.org/5", page()))
    (folder / "cut.warc.gz").write_bytes(cut[:-20])
    return folder


def recipe(folder: Path, **sections: object) -> Recipe:
    return Recipe.model_validate(
        {"name": "test", "base_model": "x", "ingest_documents": {"paths": [str(folder)]}} | sections
    )


@pytest.fixture
def do(run_job: RunJob) -> Callable[..., Run]:
    """Return a function that runs a job as the command line does, and writes its row in `ops.runs`."""

    def done(job: ModuleType, plan: Recipe, **told: object) -> Run:
        lake = run_job(job, plan, **told)
        plant(lake.root, RUNS, [lake.run.row("ok")])
        row = lake.run
        assert row.n_in == row.n_out + sum(row.dropped.values()) + sum(row.quarantined.values())
        return row

    return done


@pytest.mark.spark
def test_from_crawl_to_pool(
    crawl: Path, do: Callable[..., Run], open_lake: Callable[..., RunLake], tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(f'{{"prompt": "{prose(4)[:400]}"}}\n')
    plan = recipe(crawl, select_unlabelled={"size": 2}, ingest_prompts={"sets": {"own": str(prompts)}})

    run = do(ingest_documents, plan)
    assert (run.n_out, dict(run.dropped)) == (3, {"repeated": 1, "not_html": 1})
    assert dict(run.quarantined) == {"empty_file": 1, "broken_record": 1}
    lake = open_lake()
    assert {row.rule: row.source_file for row in lake.read(QUARANTINE).collect()} == {
        "empty_file": str(crawl / "empty.warc"),
        "broken_record": str(crawl / "cut.warc.gz"),
    }

    run = do(extract_segments, plan)
    assert (run.n_out, dict(run.dropped)) == (4, {"too_short": 1, "uppercase_header": 1})
    segments = {row.header: row for row in lake.read(SEGMENTS).collect()}
    assert segments["LOUD"].text is None
    assert segments["LOUD"].n_chars == len(prose(3).strip())
    assert (segments["Tea"].language, segments["Tea"].text) == ("en", prose(1).strip())

    assert do(sign_segments, plan).n_out == 4
    killed = open_lake(find_duplicates)  # between its commit and its row in ops.runs
    find_duplicates.run(killed, plan, Step(find_duplicates))
    assert (killed.run.n_out, dict(killed.run.dropped)) == (3, {"exact": 1})
    (duplicate,) = lake.read(DUPLICATES).collect()
    assert {duplicate.segment_id, duplicate.keeper_id} == {segments["Tea"].segment_id, segments["Tea again"].segment_id}

    run = do(select_unlabelled, plan)
    assert (run.n_out, dict(run.dropped)) == (2, {"evaluation_overlap": 1})
    (overlap,) = lake.read(OVERLAPS).collect()
    assert (overlap.segment_id, overlap.known_set) == (segments["Milk"].segment_id, "own")
    assert overlap.phrase in " ".join(prose(4).lower().replace(".", "").split())

    tables = (DOCUMENTS, SEGMENTS, SIGNATURES, DUPLICATES, UNLABELLED)
    versions = [lake.version(table) for table in tables]
    for job in JOBS:
        assert (do(job, plan).n_in, job.__name__) == (0, job.__name__)
    assert [lake.version(table) for table in tables] == versions

    # A new file: only it is read, and segments in use stay.
    grown = page(("Tea, longer", prose(1) + "And more of it."), ("Juice", prose(6)))
    (crawl / "second.warc").write_bytes(response("http://a.org/9", grown))
    assert [do(job, plan).n_in for job in JOBS[:3]] == [1, 2, 2]
    run = do(find_duplicates, plan)
    assert (run.n_out, dict(run.dropped)) == (1, {"near": 1})
    assert [lake.read(table).count() for table in (DUPLICATES, UNLABELLED)] == [2, 2]
    keepers = {row.keeper_id for row in lake.read(DUPLICATES).collect()}
    assert keepers == {duplicate.keeper_id}

    # New settings: their rows stand beside the old.
    n = lake.read(SEGMENTS).count()
    assert do(extract_segments, recipe(crawl, extract_segments={"language": "de"})).dropped["language"] == 6
    assert lake.read(SEGMENTS).count() == 2 * n


@pytest.mark.spark
def test_unreadable_files_are_quarantined_and_retried(
    tmp_path: Path, do: Callable[..., Run], open_lake: Callable[..., RunLake]
) -> None:
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    (crawl / "b.warc").symlink_to(tmp_path / "later.warc")
    (crawl / "a.warc").write_bytes(response("http://a.org/bad", b"<p>\0" * 50) + response("http://a.org/2", page()))
    plan = recipe(crawl, ingest_documents={"paths": [str(crawl)], "commit_bytes": 2**20})
    run = do(ingest_documents, plan)
    assert (run.n_out, dict(run.quarantined)) == (1, {"undecodable": 1, "unreadable_file": 1})
    with LakeView(open_lake().root) as view:
        assert "quarantined from bronze.documents: undecodable (http://a.org/bad:" in explain(view, "http://a.org/bad")
    assert do(ingest_documents, plan).n_in == 0
    large = page(("Tea", prose(1, 2**20)))
    (tmp_path / "later.warc").write_bytes(response("http://a.org/1", large))
    (crawl / "c.warc").write_bytes(response("http://a.org/3", page()) * 2)
    assert (do(ingest_documents, plan).n_out, do(ingest_documents, plan).n_in) == (2, 0)
    assert open_lake().version(DOCUMENTS) == 3, "created, and then one commit for each mebibyte of crawl files"


@pytest.mark.spark
def test_a_page_that_contains_records_is_one_page_across_parts_and_commits(
    tmp_path: Path, do: Callable[..., Run], open_lake: Callable[..., RunLake]
) -> None:
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    rng = random.Random(1)
    members = (
        gzip.compress(response(f"http://forged.org/{i}", rng.randbytes(3000).hex().encode())) for i in range(400)
    )
    held = crawls.record(crawls.http(b"".join(members)), "http://a.org/held")
    quoted = b"".join(response(f"http://forged.org/{i}", page(("Tea", prose(i)))) for i in range(1200))
    for number, odd in enumerate((held, response("http://a.org/quoted", quoted))):
        records = [response(f"http://a.org/{number}{i}", page(("Tea", prose(i)))) for i in range(20)]
        records.insert(10, odd)
        (crawl / f"{number}.warc").write_bytes(b"".join(records))
        (crawl / f"{number}.warc.gz").write_bytes(b"".join(gzip.compress(r, 1) for r in records))
    assert (crawl / "0.warc.gz").stat().st_size > 2**20
    run = do(
        ingest_documents,
        recipe(crawl, ingest_documents={"paths": [str(crawl)], "split_bytes": 2**20, "commit_bytes": 2**20}),
    )
    lake = open_lake()
    assert {row.url.rpartition("/")[0] for row in lake.read(DOCUMENTS).collect()} == {"http://a.org"}
    # Of two files with the same pages, the second one yields none. The nested page is deeper than any reader parses.
    assert (run.n_out, dict(run.quarantined)) == (41, {"too_deep": 2, "no_pages": 2})


@pytest.mark.spark
def test_staged_blocks_are_freed_after_the_commit(spark: SparkSession) -> None:
    held = spark.sparkContext._jsc.getPersistentRDDs  # type: ignore[attr-defined]  # Java's
    before = set(held())
    rows = materialised(spark.range(9))
    assert len(set(held()) - before) == 1
    jvm.release(rows)
    assert set(held()) == before


@pytest.mark.spark
def test_an_unreadable_file_gives_no_page_until_it_is_read_whole(spark: SparkSession) -> None:
    broke_off = {"rule": UNREADABLE, "detail": "EIO", "source_file": "a", "record_offset": None, "payload": None}
    rows = [
        {"source_file": "a", "url": "1"},
        {"source_file": "a", "rejected": broke_off},
        {"source_file": "b", "url": "2"},
    ]
    found = of_whole_files(spark.createDataFrame(rows, ROWS)).collect()
    assert sorted((row.source_file, row.url) for row in found if row.rejected is None) == [("b", "2")]
    assert [row.source_file for row in found if row.rejected] == ["a"]


@pytest.mark.spark
def test_headerless_pages_are_cut_if_the_recipe_says_so(
    tmp_path: Path, do: Callable[..., Run], open_lake: Callable[..., RunLake]
) -> None:
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    text = "\n".join((prose(1), prose(2, 2500), "A last line."))
    (crawl / "1.warc.wet").write_bytes(crawls.record(text.encode(), kind="conversion", content_type="text/plain"))
    do(ingest_documents, recipe(crawl))
    assert dict(do(extract_segments, recipe(crawl)).dropped) == {"no_header": 1}
    run = do(extract_segments, recipe(crawl, extract_segments={"headerless": True}))
    assert (run.n_out, dict(run.dropped)) == (2, {})
    kept = open_lake().read(SEGMENTS).where("drop_reason IS NULL").orderBy("position").collect()
    assert [(row.header, row.header_level, row.text.split("\n\n")) for row in kept] == [
        ("", 0, [prose(1).strip()]),
        ("", 0, [prose(2, 2500).strip(), "A last line."]),
    ]


@pytest.mark.spark
def test_a_folder_of_pages_and_of_tables_of_texts(
    tmp_path: Path, do: Callable[..., Run], open_lake: Callable[..., RunLake]
) -> None:
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    (crawl / "pages.warc").write_bytes(response("http://a.org/1", page(("Tea", prose(1)))))
    texts = [{"link": f"http://a.org/{i}", "text": prose(i), "date": "2024-05-06T07:08:09Z"} for i in range(2, 8)]
    texts += [texts[0], texts[1] | {"text": None}, texts[2] | {"text": " "}, texts[3] | {"text": "x" * 9000}]
    pq.write_table(pa.Table.from_pylist(texts), crawl / "texts.parquet", row_group_size=2)
    lines = [*texts[4:6], {"link": "http://a.org/8", "text": prose(8)}]
    (crawl / "lines.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    (crawl / "other.jsonl").write_text('{"url": "http://a.org/9", "text": "tea"}\n')
    settings = {"paths": [str(crawl)], "url_column": "link", "max_record_bytes": 8000}
    run = do(ingest_documents, recipe(crawl, ingest_documents=settings))
    assert (run.n_out, dict(run.dropped)) == (8, {"repeated": 3, "empty_body": 1})
    assert dict(run.quarantined) == {"broken_record": 1, "too_large": 1, "unreadable_file": 1}
    lake = open_lake()
    documents = {row.url.rpartition("/")[2]: row for row in lake.read(DOCUMENTS).collect()}
    assert sorted(documents) == [str(i) for i in range(1, 9)]
    assert {i for i, row in documents.items() if row.media_type == "text/html"} == {"1"}
    assert [(documents[i].content, documents[i].robots) for i in "28"] == [(prose(2), []), (prose(8), [])]
    (told,) = lake.read(QUARANTINE).where(F.col("rule") == UNREADABLE).collect()
    assert "it lacks an address column 'link' or a text column 'text'; it has url, text: set" in told.detail

    run = do(ingest_documents, recipe(crawl, ingest_documents={"paths": [str(crawl)]}))
    assert (run.n_in, run.n_out) == (1, 1), "the newly named file is read"
    run = do(extract_segments, recipe(crawl, extract_segments={"headerless": True}))
    assert (run.n_out, dict(run.dropped)) == (8, {"too_short": 1})


@pytest.mark.spark
def test_seed_text_and_limit(crawl: Path, do: Callable[..., Run], open_lake: Callable[..., RunLake]) -> None:
    plan = recipe(crawl, select_unlabelled={"exclude_url_prefixes": ["http://a.org/4"]})
    assert do(ingest_documents, plan, limit=1).n_in == 2  # the first new file by name: cut.warc.gz
    assert do(ingest_documents, plan).n_out == 2
    do(extract_segments, plan)
    pair = (plan.name, "p", "Q?", prose(2), "en", "s", None, "train")
    lake = open_lake()
    lake.write(SEED_PAIRS, lake.spark.createDataFrame([pair], SEED_PAIRS.schema))
    run = do(select_unlabelled, plan, limit=1)
    assert (run.n_out, dict(run.dropped)) == (1, {"seed_page": 1, "seed_overlap": 1, "not_sampled": 1})
    (drawn,) = lake.read(UNLABELLED).collect()
    lake.write(
        SEED_PAIRS, lake.spark.createDataFrame([(plan.name, "late", "Q?", drawn.text, *pair[4:])], SEED_PAIRS.schema)
    )
    assert do(select_unlabelled, plan, limit=1).n_in == 0, "a drawn segment stays in the pool"
    assert "late" in {
        row.known_id for row in lake.read(OVERLAPS).where(F.col("segment_id") == drawn.segment_id).collect()
    }


@pytest.mark.spark
def test_signed_segments_are_not_signed_again(
    run_job: RunJob, open_lake: Callable[..., RunLake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, signed = recipe(tmp_path), []

    def signing(segments: DataFrame, **settings: Any) -> DataFrame:
        signed.append([row.segment_id for row in segments.collect()])
        return signatures_from(segments, **settings)

    monkeypatch.setattr(sign_segments, "signatures_from", signing)
    for name in "ab":
        row = (segments_digest(plan), name, "d", "u", 0, "", 1, [], prose(1), 800, "en", 1.0, {}, None)
        plant(open_lake().root, SEGMENTS, [dict(zip(SEGMENTS.columns, row, strict=True))])
        assert run_job(sign_segments, plan).run.n_out == 1
    run_job(sign_segments, plan)
    assert signed == [["a"], ["b"]]


@pytest.mark.spark
def test_duplicates_of_drawn_segments_are_not_drawn(
    crawl: Path, do: Callable[..., Run], open_lake: Callable[..., RunLake]
) -> None:
    """The duplicates are from a later method; the method at the time of the draw may have kept the other segment."""
    plan = recipe(crawl)
    for job in (ingest_documents, extract_segments):
        do(job, plan)
    do(select_unlabelled, plan, limit=1)
    lake = open_lake()
    (drawn,) = lake.read(UNLABELLED).collect()
    rest = lake.read(SEGMENTS).where("drop_reason IS NULL").where(F.col("segment_id") != drawn.segment_id).collect()
    keeper, others = rest[0], rest[1:]
    row = (duplicates_digest(plan), drawn.segment_id, keeper.segment_id, "near", 0.9)
    lake.write(
        DUPLICATES, lake.spark.createDataFrame([row], DUPLICATES.schema).withColumn("drop_reason", F.col("kind"))
    )
    assert do(select_unlabelled, plan).n_out == len(others)
    assert keeper.segment_id not in {row.segment_id for row in lake.read(UNLABELLED).collect()}


@pytest.mark.spark
def test_the_newest_version_of_a_page_enters_the_pool(
    tmp_path: Path, do: Callable[..., Run], open_lake: Callable[..., RunLake]
) -> None:
    """Two crawls in two runs. The tests in transforms cover an old piece that a current page repeats."""
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    plan = recipe(crawl)
    for year, piece in ((2025, ("Cocoa", prose(3))), (2024, ("Coffee", prose(2)))):
        body = page(("Tea", prose(year)), piece)
        (crawl / f"{year}.warc").write_bytes(response("http://a.org/1", body, f"{year}-01-01T00:00:00Z"))
        do(ingest_documents, plan)
    do(extract_segments, plan)
    run = do(select_unlabelled, plan)
    assert (run.n_out, dict(run.dropped)) == (2, {"superseded": 2})
    drawn = {row.header: row.text for row in open_lake().read(UNLABELLED).collect()}
    assert drawn == {"Tea": prose(2025).strip(), "Cocoa": prose(3).strip()}


@pytest.mark.spark
def test_block_lists_drop_pieces_and_personal_data_is_replaced(
    tmp_path: Path, do: Callable[..., Run], open_lake: Callable[..., RunLake]
) -> None:
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    pages = [
        response("http://bad.org/1", page(("Tea", prose(1)), ("Coffee", prose(2)))),
        response(
            "http://a.org/1",
            page(("Spam", prose(3) + "Casino after casino."), ("Mail", prose(4) + "No casino. Ask jo@mail.org.")),
        ),
        response(
            "http://a.org/2",
            page(("Brief", prose(5)[:570].strip() + " by somebody.of.the.house@mail-server-of-the-house.org.")),
        ),
    ]
    (crawl / "1.warc").write_bytes(b"".join(pages))
    (tmp_path / "urls").write_text("bad.org\n")
    (tmp_path / "words").write_text("casino\n")
    plan = recipe(
        crawl,
        extract_segments={
            "url_block_lists": [str(tmp_path / "urls")],
            "word_block_lists": [str(tmp_path / "words")],
            "max_blocked_words": 1,
        },
    )
    do(ingest_documents, plan)
    (tmp_path / "words").rename(tmp_path / "gone")
    with pytest.raises(RecipeError, match=r"word_block_lists: .*words"):
        do(extract_segments, plan)
    (tmp_path / "gone").rename(tmp_path / "words")
    run = do(extract_segments, plan)
    assert (run.n_out, dict(run.dropped)) == (1, {"blocked_url": 1, "blocked_words": 1, "too_short": 1})
    mail = open_lake().read(SEGMENTS).where("drop_reason IS NULL").first()
    assert mail.text == prose(4) + "No casino. Ask email@example.com."
    assert (mail.n_chars, mail.replaced) == (len(mail.text), {"email": 1})
    assert {row.replaced for row in open_lake().read(SEGMENTS).where("drop_reason IS NOT NULL").collect()} == {None}
