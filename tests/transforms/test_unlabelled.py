"""Each reason why a segment is not drawn."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import pytest
from pyspark.sql import SparkSession

from schemas.silver import DUPLICATES, OVERLAPS, SEGMENTS, UNLABELLED
from transforms.dedup.unlabelled import Draw, overlaps_from, superseded_from, unlabelled_from

pytestmark = pytest.mark.spark

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
SHORT = "what is the best way to brew green tea"
TINY = "how does it work"
KNOWN = "known_set string, known_id string, text string"


def segment(name: str, text: str = "text", document: str = "d", url: str = "http://a.org/") -> tuple[object, ...]:
    url = "http://seed.org/a" if name == "page" else url
    return ("m", name, document, url, 0, "h", 1, [], text, 1, "en", 1.0, {}, None)


def reasons(
    spark: SparkSession,
    names: list[str],
    overlaps: Sequence[tuple[str, str]] = (),
    superseded: tuple[str, ...] = (),
    room: int = 100,
) -> dict[str, str | None]:
    segments = spark.createDataFrame([segment(name) for name in [*names, "taken"]], SEGMENTS.schema)
    frame = unlabelled_from(
        segments.where("segment_id <> 'taken'").select("segment_id", "url"),
        segments,
        spark.createDataFrame([("test", *row, "id", "phrase") for row in overlaps], OVERLAPS.schema),
        spark.createDataFrame([(name,) for name in superseded], "segment_id string"),
        Draw("test", room, sample_seed="s", exclude_url_prefixes=("http://seed.org/",)),
    )
    assert frame.columns == [*UNLABELLED.columns, "drop_reason"]
    return {row.segment_id: row.drop_reason for row in frame.collect()}


def test_each_reason(spark: SparkSession) -> None:
    overlaps = [("page", "seed"), ("old", "seed"), ("both", "eval"), ("both", "seed"), ("asked", "eval")]
    assert reasons(spark, ["page", "old", "both", "asked", "free"], overlaps, ("page", "old")) == {
        "page": "seed_page",
        "old": "superseded",
        "both": "seed_overlap",
        "asked": "evaluation_overlap",
        "free": None,
    }


def test_the_first_by_hash_are_drawn(spark: SparkSession) -> None:
    names = [str(i) for i in range(10)]
    order = sorted(names, key=lambda i: hashlib.sha256(f"s:{i}".encode()).hexdigest())
    found = reasons(spark, names, room=3)
    assert sorted(i for i, reason in found.items() if reason is None) == sorted(order[:3])
    assert {found[i] for i in order[3:]} == {"not_sampled"}


def test_overlaps_name_the_text_and_the_words(spark: SparkSession) -> None:
    texts = {
        "long": f"It says: {LONG.upper()}!",
        "almost": "zero " + LONG.replace("seven", "7"),
        "short": f"They asked {SHORT}, and got no answer.",
        "tiny": f"And {TINY}?",
        "both": f"{LONG} {SHORT}",
    }
    known = [
        ("eval/a.jsonl", "7", LONG),
        ("seed", "p", SHORT),
        ("seed", "t", TINY),
        ("eval/b.jsonl", "7", LONG + " fifteen"),
    ]
    frame = overlaps_from(
        spark.createDataFrame([segment(*item) for item in texts.items()], SEGMENTS.schema),
        spark.createDataFrame(known, KNOWN),
        experiment="test",
        ngram_words=13,
        short_ngram_words=8,
    )
    assert frame.columns == OVERLAPS.columns
    thirteen, eight = LONG.rpartition(" ")[0], "is the best way to brew green tea"
    assert {tuple(row)[1:] for row in frame.collect()} == {
        ("long", "eval/a.jsonl", "7", thirteen),
        ("long", "eval/b.jsonl", "7", thirteen),
        ("both", "eval/a.jsonl", "7", thirteen),
        ("both", "eval/b.jsonl", "7", thirteen),
        ("short", "seed", "p", eight),
        ("both", "seed", "p", eight),
    }


def test_a_text_of_exactly_ngram_words_is_matched(spark: SparkSession) -> None:
    words = LONG.split()
    known = [("eval", str(n), " ".join(words[:n])) for n in (7, 8, 12, 13)]
    pool = [segment(str(n), " ".join(words[:n])) for n in (7, 8, 12, 13)]
    frame = overlaps_from(
        spark.createDataFrame(pool, SEGMENTS.schema),
        spark.createDataFrame(known, KNOWN),
        experiment="test",
        ngram_words=13,
        short_ngram_words=8,
    )
    found = {(row.segment_id, row.known_id) for row in frame.collect()}
    assert found == {
        ("13", "13"),
        *((segment_id, known_id) for segment_id in ("8", "12", "13") for known_id in ("8", "12")),
    }


def test_the_newest_page_version_wins_except_for_keepers_of_current_duplicates(spark: SparkSession) -> None:
    documents = [
        ("unknown", "u", None), ("old", "u", datetime(2023, 1, 1)), ("new", "u", datetime(2024, 1, 1)),
        ("x", "v", datetime(2020, 1, 1)), ("y", "w", None), ("z", "w", None),
    ]  # fmt: skip
    rows = [segment(f"{name}-{n}", document=name, url=url) for name, url, _ in documents for n in (0, 1)]
    segments = spark.createDataFrame(rows, SEGMENTS.schema)
    documents += [("zz", "w", None), ("xx", "v", datetime(2020, 1, 1))]  # their texts as in WET files, without headers
    repeats = [("m", "new-1", "old-1", "exact", 1.0), ("m", "unknown-0", "old-0", "exact", 1.0)]
    found = superseded_from(
        segments.where("segment_id <> 'unknown-1'").select("segment_id", "document_id", "url"),
        segments,
        spark.createDataFrame(repeats, DUPLICATES.schema),
        spark.createDataFrame(documents, "document_id string, url string, crawled_at timestamp"),
    )
    assert sorted(row.segment_id for row in found.collect()) == ["old-0", "unknown-0", "y-0", "y-1"], (
        "of those that are free"
    )
