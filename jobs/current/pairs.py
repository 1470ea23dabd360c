"""The pairs that are scored, curated and trained on; at present each candidate is one pair."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.methods import Methods, of_method
from jobs.current.pool import pool
from jobs.lake.tables import Lake
from schemas.silver import CANDIDATES

BACKTRANSLATED = "backtranslated"
"""The origin of a pair whose instruction a backward model wrote for a segment."""


def candidates(lake: Lake, methods: Methods, backward: str) -> DataFrame:
    """Return the candidates that model `backward` wrote for the experiment's pool, by the method that counts."""
    written = of_method(lake, CANDIDATES, methods).where(F.col("model_id") == backward)
    return written.join(pool(lake, methods.experiment).select("segment_id"), "segment_id", "left_semi")


def pairs(lake: Lake, methods: Methods, backward: str) -> DataFrame:
    """Return the pairs to rate: `pair_id`, `segment_id`, `instruction`, `response`, `origin` and `parent_id`.

    `parent_id` names the pair from which this one was made; it is null for a candidate.
    """
    return candidates(lake, methods, backward).select(
        F.col("candidate_id").alias("pair_id"),
        "segment_id",
        "instruction",
        "response",
        F.lit(BACKTRANSLATED).alias("origin"),
        F.lit(None).cast("string").alias("parent_id"),
    )
