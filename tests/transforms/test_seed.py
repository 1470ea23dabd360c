"""The paper's seed rule: each reply is a pair, or has its first drop reason."""

import pytest
from pyspark.sql import DataFrame, SparkSession

from schemas.bronze import CONVERSATIONS
from schemas.silver import SEED_PAIRS
from transforms.seed.seed_pairs import seed_pairs_from

pytestmark = pytest.mark.spark


def message(message_id: str, parent_id: str | None, rank: int | None = None, **fields: object) -> dict:
    role = "assistant" if message_id.startswith("a") else "prompter"
    row = {"message_id": message_id, "tree_id": "t", "parent_id": parent_id, "role": role, "rank": rank}
    row |= {
        "text": f"text of {message_id}",
        "language": "en",
        "synthetic": False,
        "source": "s",
        "licence": None,
    }
    return row | fields


def pairs(spark: SparkSession, *messages: dict, known: DataFrame | None = None, **scalars: object) -> dict[str, str]:
    conversations = spark.createDataFrame(list(messages), CONVERSATIONS.schema)
    known = known or spark.createDataFrame([], SEED_PAIRS.schema)
    frame = seed_pairs_from(
        conversations, known, **{"experiment": "e", "language": "en", "size": 100, "dev_share": 0.0} | scalars
    )
    assert frame.columns == [*SEED_PAIRS.columns, "drop_reason"]
    return {row.response: row.drop_reason for row in frame.collect()}


def test_each_reason(spark: SparkSession) -> None:
    found = pairs(
        spark,
        message("p1", None),
        message("a-kept", "p1", 0),
        message("a-second", "p1", 1),
        message("a-unranked", "p1"),
        message("a-model", "p1", 0, synthetic=True),
        message("a-german", "p1", 0, language="de"),
        message("p2", "a-kept"),
        message("a-later", "p2", 0),
        message("a-orphan", "p9", 0),
        message("p3", None, synthetic=True),
        message("a-to-model", "p3", 0),
        message("p4", None, language="de"),
        message("a-to-german", "p4", 0),
        message("p5", None, language=None),
        message("a-unsaid", "p5", 0, language=None),
    )
    assert found == {
        "text of a-kept": None,
        "text of a-second": "not_best_rank",
        "text of a-unranked": "not_best_rank",
        "text of a-model": "synthetic",
        "text of a-german": "not_english",
        "text of a-later": "later_turn",
        "text of a-orphan": "no_prompt",
        "text of a-to-model": "synthetic",
        "text of a-to-german": "not_english",
        "text of a-unsaid": None,
    }


@pytest.mark.parametrize(
    ("language", "kept", "dropped"),
    [
        ("en", ["en", "en-US", "en_GB", "EN", "en-Latn-US", " en ", "eng", "eng_Latn", "English", "und", "", None],
         ["de", "zh-Hans", "enm", "e", "es-en", "english words", "x-en"]),
        ("pt-BR", ["pt-BR", "pt_br", "PT-BR", None], ["pt", "pt-PT", "en"]),
        ("de", ["de", "de-AT", "DE"], ["en", "english", "den", "nds"]),
    ],
)  # fmt: skip
def test_a_variety_of_a_language_is_that_language(
    spark: SparkSession, language: str, kept: list[str | None], dropped: list[str | None]
) -> None:
    rows = [
        row
        for n, tag in enumerate(kept + dropped)
        for row in (message(f"p{n}", None, language=tag), message(f"a{n}", f"p{n}", 0, text=str(tag), language=tag))
    ]
    found = pairs(spark, *rows, language=language)
    assert found == dict.fromkeys(map(str, kept)) | dict.fromkeys(map(str, dropped), "not_english")


def test_one_of_two_equal_pairs_is_kept(spark: SparkSession) -> None:
    messages = [message("p1", None), message("a1", "p1", 0, text="same"), message("a2", "p1", 0, text="same")]
    conversations = spark.createDataFrame(messages, CONVERSATIONS.schema)
    known = spark.createDataFrame([], SEED_PAIRS.schema)
    rows = seed_pairs_from(conversations, known, experiment="e", language="en", size=9, dev_share=0.0).collect()
    assert sorted(str(r.drop_reason) for r in rows) == ["None", "repeated"]


def test_size_draws_by_hash_and_keeps_what_was_drawn(spark: SparkSession) -> None:
    messages = [message("p", None), *(message(f"a{n}", "p", 0) for n in range(20))]
    first = pairs(spark, *messages, size=8)
    assert sorted(map(str, first.values())) == ["None"] * 8 + ["not_sampled"] * 12
    assert pairs(spark, *reversed(messages), size=8) == first

    conversations = spark.createDataFrame(messages[:6], CONVERSATIONS.schema)
    known = seed_pairs_from(
        conversations,
        spark.createDataFrame([], SEED_PAIRS.schema),
        experiment="e",
        language="en",
        size=9,
        dev_share=0.0,
    )
    later = pairs(spark, *messages, known=known, size=8)
    assert [later[f"text of a{n}"] for n in range(5)] == [None] * 5
    assert list(later.values()).count("not_sampled") == 12
    assert list(pairs(spark, *messages, known=known, size=3).values()).count("not_sampled") == 15


def test_split_is_by_hash_of_the_pair(spark: SparkSession) -> None:
    messages = [message("p", None), *(message(f"a{n}", "p", 0) for n in range(1000))]
    conversations = spark.createDataFrame(messages, CONVERSATIONS.schema)
    known = spark.createDataFrame([], SEED_PAIRS.schema)

    def dev(size: int) -> set[str]:
        kept = seed_pairs_from(conversations, known, experiment="e", language="en", size=size, dev_share=0.3)
        return {r.pair_id for r in kept.where("drop_reason IS NULL AND split = 'dev'").collect()}

    assert 250 < len(dev(1000)) < 350
    assert 60 < len(dev(300)) < 120  # the draw is unbiased
    assert dev(300) < dev(1000)
