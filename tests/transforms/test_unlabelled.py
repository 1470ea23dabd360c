"""Each reason for which a segment is not drawn."""

import hashlib

import pytest
from pyspark.sql import SparkSession

from schemas.silver import SEGMENTS, UNLABELLED
from transforms.unlabelled import unlabelled_from

pytestmark = pytest.mark.spark

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
SHORT = "what is the best way to brew green tea"
TINY = "how does it work"


def reasons(
    spark: SparkSession, texts: dict[str, str], known: list[tuple[str, str]], room: int = 100
) -> dict[str, str | None]:
    rows = [
        (
            "d",
            i,
            "doc",
            "http://seed.org/a" if i == "page" else "http://a.org/",
            0,
            "h",
            1,
            [],
            text,
            1,
            "en",
            1.0,
            None,
        )
        for i, text in texts.items()
    ]
    frame = unlabelled_from(
        spark.createDataFrame(rows, SEGMENTS.schema),
        spark.createDataFrame(known, "text string, reason string"),
        experiment="test",
        room=room,
        sample_seed="s",
        exclude_url_prefixes=("http://seed.org/",),
        ngram_words=13,
        short_ngram_words=8,
    )
    assert frame.columns == [*UNLABELLED.columns, "drop_reason"]
    return {row.segment_id: row.drop_reason for row in frame.collect()}


def test_each_reason(spark: SparkSession) -> None:
    texts = {
        "page": "from a page that the seed was taken from",
        "long": f"It says: {LONG.upper()}!",
        "almost": "zero " + LONG.replace("seven", "7"),
        "short": f"They asked {SHORT}, and got no answer.",
        "tiny": f"And {TINY}?",
        "both": f"{LONG} {SHORT}",
        "free": "nothing of all this",
    }
    known = [(LONG, "evaluation_overlap"), (SHORT, "seed_overlap"), (TINY, "seed_overlap")]
    assert reasons(spark, texts, known) == {
        "page": "seed_page",
        "long": "evaluation_overlap",
        "almost": None,
        "short": "seed_overlap",
        "tiny": None,
        "both": "seed_overlap",
        "free": None,
    }


def test_the_first_by_hash_are_drawn(spark: SparkSession) -> None:
    texts = {str(i): "text" for i in range(10)}
    order = sorted(texts, key=lambda i: hashlib.sha256(f"s:{i}".encode()).hexdigest())
    found = reasons(spark, texts, [], room=3)
    assert sorted(i for i, reason in found.items() if reason is None) == sorted(order[:3])
    assert {found[i] for i in order[3:]} == {"not_sampled"}
