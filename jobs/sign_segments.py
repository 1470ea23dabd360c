"""Compute the MinHash of every new kept segment, `silver.signatures`.

humpback sign-segments --recipe FILE --lake URI [--limit N: N segments]
"""

from pyspark.sql import functions as F

from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import segments_digest, signatures_digest
from schemas.silver import SEGMENTS, SIGNATURES
from transforms.dedup.signatures import signatures_from

READS = (SEGMENTS,)
WRITES = SIGNATURES
UNIT = "segments"


def run(lake: Lake, recipe: Recipe) -> None:
    """Sign the kept segments that have no signature of this method yet."""
    digest = signatures_digest(recipe)
    kept = (F.col("method_digest") == segments_digest(recipe)) & F.col("drop_reason").isNull()
    segments = lake.read(SEGMENTS).where(kept)
    if lake.exists(SIGNATURES):  # else all texts would be sorted to find none
        signed = lake.latest(SIGNATURES).where(F.col("method_digest") == digest).select("segment_id")
        segments = segments.join(signed, "segment_id", "left_anti")
    if lake.run.limit:
        segments = segments.orderBy("segment_id").limit(lake.run.limit)
    if segments.isEmpty():
        return
    lake.write(SIGNATURES, signatures_from(segments, **recipe.sign_segments.model_dump(), method_digest=digest))
