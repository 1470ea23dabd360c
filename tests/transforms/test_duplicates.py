"""Near duplicates by rank, through the job's own loop; every expected verdict is spelled out."""

import random
from itertools import combinations

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.find_duplicates import settled_pairs
from transforms.duplicates import (
    candidate_pairs,
    duplicates_from,
    select_open,
    select_settled,
    verified_pairs,
    with_leader,
)
from transforms.signatures import signatures_from

pytestmark = pytest.mark.spark

SIGN = {"shingle_words": 5, "bands": 14, "rows_per_band": 8, "seed": 42, "method_digest": "s"}
WORDS = [f"word{i}" for i in range(300)]


def near(start: int, changed: int) -> str:
    """200 words from `start`, the last `changed` of them other ones: each costs its share of the shingles."""
    return " ".join(WORDS[start : start + 200 - changed] + [f"other{start}x{i}" for i in range(changed)])


def verdicts(spark: SparkSession, new: dict[str, str], old: dict[str, str] | None = None, partitions: int = 1) -> dict:
    members, segments = _members(spark, new, old or {}, partitions)
    settled = settled_pairs(members.where("segment_id = leader_id"), segments, shingle_words=5, min_jaccard=0.8)
    frame = duplicates_from(members, settled, method_digest="d")
    return {row.segment_id: (row.kind, row.keeper_id) for row in frame.collect() if row.drop_reason}


def _members(
    spark: SparkSession, new: dict[str, str], old: dict[str, str], partitions: int
) -> tuple[DataFrame, DataFrame]:
    rows = [(k, t, len(t), None, k in new) for k, t in (old | new).items()]
    random.Random(partitions).shuffle(rows)
    segments = spark.createDataFrame(
        rows, "segment_id string, text string, n_chars int, drop_reason string, is_new boolean"
    ).repartition(partitions)
    signatures = signatures_from(segments, **SIGN)
    members = signatures.join(segments.select("segment_id", "n_chars", "is_new"), "segment_id")
    return with_leader(members).localCheckpoint(), segments


def test_exact_copies_follow_the_best_ranked(spark: SparkSession) -> None:
    texts = {"a": near(0, 0), "b": near(0, 0).upper() + "!", "c": near(90, 0), "d": near(0, 0)}
    # b is longer (one sign more), so it is the keeper.
    assert verdicts(spark, texts) == {"a": ("exact", "b"), "d": ("exact", "b")}


def test_near_copies_are_verified(spark: SparkSession) -> None:
    texts = {"a": near(0, 0), "b": near(0, 10), "c": near(0, 80)}
    assert verdicts(spark, texts) in ({"a": ("near", "b")}, {"b": ("near", "a")})


def test_a_chain_keeps_both_ends(spark: SparkSession) -> None:
    """A~B and B~C, A far from C: B is dropped, C stays, since it is no copy of A."""
    a, b, c = (" ".join(WORDS[start : start + 200]) for start in (0, 18, 36))
    texts = {"a": a + " pad" * 0, "b": b, "c": c}
    rank = sorted(texts, key=lambda k: (-len(texts[k]), k))
    found = verdicts(spark, texts)
    jaccard = {(x, y): _jaccard(texts[x], texts[y]) for x, y in combinations(sorted(texts), 2)}
    assert jaccard["a", "b"] >= 0.8 <= jaccard["b", "c"]
    assert jaccard["a", "c"] < 0.8
    expected = {}
    for n, x in enumerate(rank):
        keepers = [y for y in rank[:n] if y not in expected and jaccard[min(x, y), max(x, y)] >= 0.8]
        if keepers:
            expected[x] = ("near", max(keepers, key=lambda y: (jaccard[min(x, y), max(x, y)], y)))
    assert found == expected


def test_a_keeper_in_use_is_never_displaced(spark: SparkSession) -> None:
    texts = {"longer": near(0, 0) + " and more", "copy": near(0, 0)}
    assert verdicts(spark, texts, old={"used": near(0, 0)}) == {"longer": ("near", "used"), "copy": ("exact", "used")}


def test_an_exact_copy_of_a_dropped_one_has_a_surviving_keeper(spark: SparkSession) -> None:
    texts = {"x": near(0, 5), "y": near(0, 5)}
    assert verdicts(spark, texts, old={"used": near(0, 0)}) == {"x": ("near", "used"), "y": ("near", "used")}


def test_a_bucket_of_many_near_copies(spark: SparkSession) -> None:
    texts = {f"n{i:03}": near(0, 0) + f" tail{i}" for i in range(60)}
    found = verdicts(spark, texts)
    assert set(found.values()) == {("near", "n010")}  # the longest of them, then the smallest id
    assert len(found) == 59


def test_any_order_and_partitioning_gives_the_same(spark: SparkSession) -> None:
    rng = random.Random(7)
    texts = {}
    for i in range(80):
        words = near(rng.choice([0, 5, 10, 90]), 0).split()
        for _ in range(rng.randrange(12)):
            words[rng.randrange(200)] = f"edit{rng.randrange(10**6)}"
        texts[f"s{i:03}"] = " ".join(words)
    first = verdicts(spark, texts)
    assert first == verdicts(spark, texts, partitions=5)
    survivors = set(texts) - set(first)
    for dropped, (_, keeper) in first.items():
        assert keeper in survivors
        assert _jaccard(texts[dropped], texts[keeper]) >= 0.8
    pairs = sum(_jaccard(texts[a], texts[b]) >= 0.9 for a, b in combinations(sorted(survivors), 2))
    assert pairs == 0


def test_pairs_are_verified_by_exact_jaccard(spark: SparkSession) -> None:
    texts = {"a": near(0, 0), "b": near(0, 20)}
    members, segments = _members(spark, texts, {}, 1)
    pairs = spark.createDataFrame([("a", "b")], "segment_id string, keeper_id string")
    (row,) = verified_pairs(pairs, segments, shingle_words=5, min_jaccard=0.5).collect()
    assert row.jaccard == pytest.approx(_jaccard(texts["a"], texts["b"]))
    assert verified_pairs(pairs, segments, shingle_words=5, min_jaccard=0.95).isEmpty()
    assert candidate_pairs(members.where("not is_new")).isEmpty()


def test_settling_step_by_step(spark: SparkSession) -> None:
    """c -> b -> a: a is sure and drops b, which leaves c with no keeper."""
    pairs = spark.createDataFrame(
        [("b", "a", 0.9), ("c", "b", 0.9)], "segment_id string, keeper_id string, jaccard double"
    )
    settled = select_settled(pairs)
    assert [tuple(row) for row in settled.collect()] == [("b", "a", 0.9)]
    assert select_open(pairs, settled).isEmpty()


def _jaccard(one: str, other: str) -> float:
    a, b = ({tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in (one.lower().split(), other.lower().split()))
    return len(a & b) / len(a | b)
