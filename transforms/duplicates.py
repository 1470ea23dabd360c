"""Which segments repeat another: exact by digest, near by MinHash bands and then exact Jaccard.

Segments are ranked: those judged in an earlier run first, then the longer text, then the smaller
`segment_id`. A segment is dropped if a surviving segment of better rank is at least `min_jaccard`
similar *to it*; similarity is never passed on along a chain. This is the greedy maximal
independent set by rank, so it depends neither on the order of the rows nor on their partitions,
and a survivor of an earlier run is never displaced.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from transforms.shingles import jaccard, ngrams_of, words_of

METHOD_VERSION = "duplicates-1"
ANCHORS = 8  # a row of a bucket is compared with the best-ranked 8 of it, never with all


def _rank() -> list[Column]:
    return [F.col("is_new").asc(), F.col("n_chars").desc(), F.col("segment_id").asc()]


def with_leader(signatures: DataFrame) -> DataFrame:
    """Each signature (`is_new`, `n_chars`, `text_digest`) with `leader_id`: the best of its exact copies."""
    copies = Window.partitionBy("text_digest").orderBy(*_rank())
    return signatures.withColumn("leader_id", F.first("segment_id").over(copies))


def candidate_pairs(leaders: DataFrame) -> DataFrame:
    """Pairs (`segment_id`, `keeper_id` of better rank) that share a band; the first is always new.

    In a bucket each row meets only the best-ranked `ANCHORS`, so its cost is linear; `crowded` says
    that there are more. Once the copies of the anchors are out, the next round meets the rest.
    """
    bucketed = leaders.select("segment_id", "is_new", "n_chars", F.explode("bands").alias("bucket"))
    bucket = Window.partitionBy("bucket")
    placed = bucketed.select(
        "bucket",
        "segment_id",
        "is_new",
        F.row_number().over(bucket.orderBy(*_rank())).alias("place"),
        F.count(F.lit(1)).over(bucket).alias("n"),
    ).where(F.col("n") > 1)
    anchors = placed.where(F.col("place") <= ANCHORS).select(
        "bucket", F.col("segment_id").alias("keeper_id"), F.col("place").alias("keeper_place")
    )
    met = placed.where("is_new").join(anchors, "bucket").where(F.col("keeper_place") < F.col("place"))
    return met.groupBy("segment_id", "keeper_id").agg((F.max("n") > ANCHORS).alias("crowded"))


def verified_pairs(pairs: DataFrame, segments: DataFrame, *, shingle_words: int, min_jaccard: float) -> DataFrame:
    """The pairs whose texts really are `min_jaccard` similar or more, with `jaccard`."""
    ids = pairs.select("segment_id").union(pairs.select("keeper_id")).distinct()
    words = segments.join(ids, "segment_id").select("segment_id", words_of(F.col("text")).alias("words"))
    sets = words.select("segment_id", ngrams_of(F.col("words"), shingle_words).alias("shingles"))
    keepers = sets.select(F.col("segment_id").alias("keeper_id"), F.col("shingles").alias("keeper_shingles"))
    return (
        pairs.join(sets, "segment_id")
        .join(keepers, "keeper_id")
        .withColumn("jaccard", jaccard(F.col("shingles"), F.col("keeper_shingles")))
        .where(F.col("jaccard") >= min_jaccard)
        .select("segment_id", "keeper_id", "jaccard")
    )


def select_settled(pairs: DataFrame) -> DataFrame:
    """The segments that a sure survivor drops, with the most similar one as `keeper_id`.

    A sure survivor has no pair left with a keeper of its own.
    """
    survivors = pairs.select("keeper_id").distinct()
    survivors = survivors.join(pairs.select(F.col("segment_id").alias("keeper_id")), "keeper_id", "left_anti")
    best = F.max_by(F.struct("keeper_id", "jaccard"), F.struct("jaccard", "keeper_id")).alias("best")
    return pairs.join(survivors, "keeper_id").groupBy("segment_id").agg(best).select("segment_id", "best.*")


def select_open(pairs: DataFrame, settled: DataFrame) -> DataFrame:
    """The pairs in which neither side has been dropped yet and the segment's fate is open."""
    dropped = settled.select("segment_id")
    return pairs.join(dropped, "segment_id", "left_anti").join(
        dropped.withColumnRenamed("segment_id", "keeper_id"), "keeper_id", "left_anti"
    )


def duplicates_from(signatures: DataFrame, settled: DataFrame, *, method_digest: str) -> DataFrame:
    """The verdict on every new signature (with `leader_id`): `drop_reason` is `exact`, `near` or null.

    An exact copy follows its leader: where the leader itself is dropped, the leader's keeper is its.
    """
    near = settled.select(F.col("segment_id").alias("leader_id"), F.col("keeper_id").alias("near_id"), "jaccard")
    is_copy = F.col("segment_id") != F.col("leader_id")
    kind = F.when(F.col("near_id").isNotNull(), "near").when(is_copy, "exact")
    return (
        signatures.where("is_new")
        .join(near, "leader_id", "left")
        .select(
            F.lit(method_digest).alias("method_digest"),
            "segment_id",
            F.coalesce("near_id", F.when(is_copy, F.col("leader_id"))).alias("keeper_id"),
            kind.alias("kind"),
            F.coalesce("jaccard", F.when(is_copy, F.lit(1.0))).alias("jaccard"),
            kind.alias("drop_reason"),
        )
    )
