"""Find segments that repeat another: exact copies by digest, near ones by MinHash bands and then exact Jaccard.

Segments are ranked: those judged in an earlier run first, then the longer text, then the smaller
`segment_id`. In this order, a segment is dropped if a survivor of better rank shares a band with
it and is at least `min_jaccard` similar *to it*; the best-ranked such survivor is its keeper.
Similarity is never passed on along a chain, no two survivors that share a band are that similar,
a survivor of an earlier run is never displaced, and neither the order of the rows nor their
partitions matter.

Rows that share a band form a bucket. In a bucket of up to `SMALL` rows all pairs are compared at
once. In a larger one each row is first compared with the best-ranked row of its buckets only (a
star), which settles a crowd of near copies. Then, in rounds, the best-ranked 2, 4, 8, ... of the
remaining rows are compared with all others and leave the bucket: a row is compared with those that
survive, and with at most the same number that do not.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from transforms.dedup.shingles import jaccard, ngrams_of

METHOD_VERSION = "duplicates-2"
SMALL = 8
FIRST_PIVOTS = 2  # few: after the star a large bucket holds only a few smaller crowds


def ranked(signatures: DataFrame) -> DataFrame:
    """Add to signatures (`is_new`, `n_chars`, `text_digest`) `rank`, and `leader`: the rank of the best exact copy.

    Ranks ascend from the best row to the worst and are unique, with gaps. They may differ when the
    plan is computed again, so the result must be staged before it is used twice.
    """
    order = [F.col("is_new").asc(), F.col("n_chars").desc(), F.col("segment_id").asc()]
    numbered = signatures.orderBy(*order).withColumn("rank", F.monotonically_increasing_id())
    return numbered.withColumn("leader", F.min("rank").over(Window.partitionBy("text_digest")))


def bucket_entries(leaders: DataFrame) -> DataFrame:
    """Return a row (`bucket`, `rank`, `is_new`) for each band of each leader."""
    return leaders.select(F.explode("bands").alias("bucket"), "rank", "is_new")


def with_places(entries: DataFrame, pivots: int) -> DataFrame:
    """Return the entries of buckets with a new row and at least one other, with `place`, `n` and `front`.

    `place` is the position by rank, from 1; `n` the bucket's size; `front` the best rank of the rows that
    remain in it after a round with `pivots` pivots.
    """
    bucket = Window.partitionBy("bucket")
    placed = entries.select("bucket", "rank", "is_new", F.row_number().over(bucket.orderBy("rank")).alias("place"))
    sized = placed.withColumns(
        {
            "n": F.count(F.lit(1)).over(bucket),
            "front": F.min(F.when(F.col("place") > pivots, F.col("rank"))).over(bucket),
            "has_new": F.max("is_new").over(bucket),
        }
    )
    return sized.where("n > 1 and has_new").drop("has_new")


def leaves(pivots: int) -> Column:
    """Return whether an entry is compared with its whole bucket in a round with `pivots` pivots, and then leaves it."""
    return (F.col("n") <= SMALL) | (F.col("place") <= pivots)


def candidate_pairs(placed: DataFrame, pivots: int) -> DataFrame:
    """Return the pairs (`rank`, `keeper` of better rank) to compare in this round; `rank` is always a new row.

    With 0 pivots each new row of the large buckets is paired with one row, the best-ranked in them.
    """
    new = placed.where("is_new")
    keepers = placed.where(leaves(pivots)).select("bucket", F.col("rank").alias("keeper"))
    pairs = new.join(keepers, "bucket").where("keeper < rank").select("rank", "keeper").distinct()
    if pivots:
        return pairs
    star = new.where(~leaves(0) & (F.col("front") < F.col("rank"))).groupBy("rank").agg(F.min("front").alias("keeper"))
    return pairs.union(star).distinct()


def waiting_for(rest: DataFrame) -> DataFrame:
    """Return the new rows still to be compared with better-ranked rows of their buckets; `front` is the best rank."""
    return rest.where("is_new and front < rank").groupBy("rank").agg(F.min("front").alias("front"))


def shingle_sets(rows: DataFrame, *, shingle_words: int) -> DataFrame:
    """Return the set of shingles of each row (`rank`, `text`)."""
    return rows.select("rank", ngrams_of(F.col("text"), shingle_words).alias("shingles"))


def similarities(pairs: DataFrame, sets: DataFrame) -> DataFrame:
    """Add the exact `jaccard` of their sets to the pairs.

    The join by rank comes last: a crowd has one keeper, and a final join by keeper would put it on one task.
    """
    keepers = sets.select(F.col("rank").alias("keeper"), F.col("shingles").alias("keeper_shingles"))
    both = pairs.join(keepers, "keeper").join(sets, "rank")
    return both.select("rank", "keeper", jaccard(F.col("shingles"), F.col("keeper_shingles")).alias("jaccard"))


def select_settled(pairs: DataFrame, waiting: DataFrame) -> DataFrame:
    """Return the rows to drop, because their best-ranked similar row (`keeper`) is sure to survive.

    It is sure if it has no pair with a better-ranked keeper, and neither it nor the row awaits a comparison with a
    better one.
    """
    best = pairs.groupBy("rank").agg(F.min(F.struct("keeper", "jaccard")).alias("best")).select("rank", "best.*")
    unsure = pairs.select("rank").union(waiting.select("rank")).withColumnRenamed("rank", "keeper")
    sure = best.join(unsure, "keeper", "left_anti").join(waiting, "rank", "left")
    return sure.where("front is null or keeper <= front").select("rank", "keeper", "jaccard")


def select_open(pairs: DataFrame, settled: DataFrame) -> DataFrame:
    """Return the pairs in which neither side has been dropped yet."""
    dropped = settled.select("rank")
    keepers = dropped.withColumnRenamed("rank", "keeper")
    return pairs.join(dropped, "rank", "left_anti").join(keepers, "keeper", "left_anti")


def duplicates_from(members: DataFrame, settled: DataFrame, *, method_digest: str) -> DataFrame:
    """Return the verdict on every new row of `ranked`: `drop_reason` is `exact`, `near` or null.

    An exact copy follows its leader: if the leader is dropped, both have the same keeper.
    """
    near = settled.select(F.col("rank").alias("leader"), F.col("keeper").alias("near"), "jaccard")
    copied = F.when(F.col("rank") != F.col("leader"), F.col("leader"))
    kind = F.when(F.col("near").isNotNull(), "near").when(copied.isNotNull(), "exact")
    verdicts = (
        members.where("is_new")
        .join(near, "leader", "left")
        .select(
            F.lit(method_digest).alias("method_digest"),
            "segment_id",
            F.coalesce("near", copied).alias("keeper"),
            kind.alias("kind"),
            F.coalesce("jaccard", F.when(copied.isNotNull(), 1.0)).alias("jaccard"),
            kind.alias("drop_reason"),
        )
    )
    keepers = members.select(F.col("rank").alias("keeper"), F.col("segment_id").alias("keeper_id"))
    return verdicts.join(keepers, "keeper", "left").drop("keeper")


def unsound(verdicts: DataFrame, *, min_jaccard: float) -> DataFrame:
    """Return the impossible verdicts: rows dropped for no similar keeper, for themselves, or for a dropped keeper."""
    dropped = verdicts.where(F.col("drop_reason").isNotNull())
    dropped_keepers = dropped.select(F.col("segment_id").alias("keeper_id"), F.lit(True).alias("keeper_dropped"))
    sound = F.col("keeper_id").isNotNull() & (F.col("jaccard") >= min_jaccard) & F.col("keeper_dropped").isNull()
    marked = dropped.join(dropped_keepers, "keeper_id", "left")  # a row that is its own keeper counts as dropped, too
    return marked.where(~F.coalesce(sound, F.lit(False))).drop("keeper_dropped")
