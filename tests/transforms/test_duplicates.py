"""Near duplicates by rank: the job's loop, compared with a plain reference loop."""

import random
import re
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from jobs.find_duplicates import settled_pairs
from transforms.dedup.duplicates import duplicates_from, ranked, unsound
from transforms.dedup.signatures import signatures_from

pytestmark = pytest.mark.spark

SIGN = {"shingle_words": 5, "bands": 14, "rows_per_band": 8, "seed": 42, "method_digest": "s"}
MEMBER = "segment_id string, text string, bands array<bigint>, text_digest string, is_new boolean, n_chars int"


class Segment(NamedTuple):
    text: str
    bands: tuple[int, ...]
    digest: str
    is_new: bool = True


Segments = dict[str, Segment]
Verdicts = dict[str, tuple[str, str, float]]


def verdicts(spark: SparkSession, segments: Segments, shingle_words: int, partitions: int = 1) -> Verdicts:
    rows = [(name, s.text, list(s.bands), s.digest, s.is_new, len(s.text)) for name, s in segments.items()]
    random.Random(partitions).shuffle(rows)
    frame = spark.createDataFrame(rows, MEMBER).repartition(partitions)
    members = ranked(frame.drop("text")).localCheckpoint()
    texts = frame.select("segment_id", "text")
    settled = settled_pairs(members.where("rank = leader"), texts, shingle_words=shingle_words, min_jaccard=0.8)
    found = duplicates_from(members, settled, method_digest="d")
    return {row.segment_id: (row.kind, row.keeper_id, row.jaccard) for row in found.collect() if row.drop_reason}


def plain_loop(segments: Segments, shingle_words: int) -> Verdicts:
    """Compute the verdicts one by one, from the best rank to the worst."""
    survivors: list[str] = []
    leaders: dict[str, str] = {}
    found: Verdicts = {}
    for name, s in sorted(segments.items(), key=lambda item: (item[1].is_new, -len(item[1].text), item[0])):
        leader = leaders.setdefault(s.digest, name)
        if name != leader:
            found[name] = found.get(leader, ("exact", leader, 1.0))
            continue
        for keeper in survivors if s.is_new else ():
            likeness = jaccard(s.text, segments[keeper].text, shingle_words)
            if likeness >= 0.8 and set(s.bands) & set(segments[keeper].bands):
                found[name] = ("near", keeper, likeness)
                break
        else:
            survivors.append(name)
    return {name: verdict for name, verdict in found.items() if segments[name].is_new}


def jaccard(one: str, other: str, n: int) -> float:
    words = (re.findall(r"\w+", text.lower()) for text in (one, other))
    a, b = ({tuple(w[i : i + n]) for i in range(max(len(w) - n + 1, 1))} for w in words)
    return len(a & b) / len(a | b)


def crowds(rng: random.Random) -> Segments:
    """Generate short texts of few words and bands of few values: chains, copies, and large buckets of unlike rows."""
    texts = [" ".join(rng.sample("abcdefghijkl", rng.randint(1, 12))) for _ in range(65)]
    texts += texts[:5]
    bands = [(rng.randint(0, 2), rng.randint(3, 20)) for _ in texts]
    return {f"s{i:03}": Segment(text, bands[i], text, rng.random() < 0.8) for i, text in enumerate(texts)}


@settings(max_examples=2, deadline=None, derandomize=True, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32), partitions=st.integers(1, 5))
def test_verdicts_equal_a_brute_force_loop(spark: SparkSession, seed: int, partitions: int) -> None:
    segments = crowds(random.Random(seed))
    found = verdicts(spark, segments, 1, partitions)
    assert found == plain_loop(segments, 1)
    assert {kind for kind, _, _ in found.values()} == {"exact", "near"}


def words(family: str, start: int = 0, changed: int = 0) -> str:
    """Return 200 words of a family from number `start`, with the last `changed` of them replaced."""
    kept = [f"{family}{i}" for i in range(start, start + 200 - changed)]
    return " ".join(kept + [f"{family}{start}x{i}" for i in range(changed)])


OLD = {"used_near": words("u"), "used_exact": words("v")}
NEW = {
    "exact_a": words("e"), "exact_b": words("e").upper() + "!", "exact_c": words("e"),
    "near_a": words("n"), "near_b": words("n", 0, 10), "near_c": words("n", 0, 80),
    "chain_a": words("c"), "chain_b": words("c", 18), "chain_c": words("c", 36),
    "longer": words("u") + " and more", "copy": words("u"),
    "first": words("v", 0, 5), "second": words("v", 0, 5),
} | {f"crowd{i:02}": words("k") + f" tail{i}" for i in range(60)}  # fmt: skip


def test_each_kind_of_copy(spark: SparkSession) -> None:
    texts = OLD | NEW
    frame = spark.createDataFrame(
        [(name, text, None) for name, text in texts.items()], "segment_id string, text string, drop_reason string"
    ).coalesce(1)
    segments = {
        row.segment_id: Segment(texts[row.segment_id], tuple(row.bands), row.text_digest, row.segment_id in NEW)
        for row in signatures_from(frame, **SIGN).collect()
    }
    found = verdicts(spark, segments, 5)
    assert found == plain_loop(segments, 5)
    pairs = {name: (kind, keeper) for name, (kind, keeper, _) in found.items() if not name.startswith("crowd")}
    assert pairs == {
        # b is longer (one sign more), so it is the keeper.
        "exact_a": ("exact", "exact_b"),
        "exact_c": ("exact", "exact_b"),
        # Equally long, so the smaller id is the keeper; c is too different from both.
        "near_b": ("near", "near_a"),
        # a is kept: it is no duplicate of c, though b is one of both.
        "chain_b": ("near", "chain_c"),
        # A segment in use is kept even if a duplicate is longer, and is the keeper of exact copies of dropped ones.
        "longer": ("near", "used_near"),
        "copy": ("exact", "used_near"),
        "first": ("near", "used_exact"),
        "second": ("near", "used_exact"),
    }
    # The keeper is the longest segment of the bucket, then the one with the smallest id.
    assert {verdict[:2] for name, verdict in found.items() if name.startswith("crowd")} == {("near", "crowd10")}
    assert len(found) == len(pairs) + 59


def test_impossible_verdicts_are_detected(spark: SparkSession) -> None:
    rows = [
        ("kept", None, None, None, None), ("sound", "kept", "near", 0.8, "near"), ("far", "kept", "near", 0.79, "near"),
        ("own", "own", "exact", 1.0, "exact"), ("chain", "sound", "near", 0.9, "near"), ("lost", None, "near", 0.9, "near"),
    ]  # fmt: skip
    frame = spark.createDataFrame(
        rows, "segment_id string, keeper_id string, kind string, jaccard double, drop_reason string"
    )
    found = unsound(frame, min_jaccard=0.8)
    assert sorted(row.segment_id for row in found.collect()) == ["chain", "far", "lost", "own"]
