"""Compute the MinHash signature of every new kept segment, `silver.signatures`.

humpback sign-segments --recipe FILE --lake URI [--limit N: N segments]
"""

from pyspark.sql import functions as F

from jobs.current.bookmarks import news
from jobs.current.methods import methods_of, noted_method
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.ops import RUNS
from schemas.silver import SEGMENTS, SIGNATURES
from transforms.dedup.drawing import first_by_hash
from transforms.dedup.signatures import signatures_from

READS = (SEGMENTS, RUNS)
WRITES = SIGNATURES
UNIT = "segments"
PARAMETERS = Parameters(has_limit=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Sign the kept segments that have no signature of this method yet."""
    methods = methods_of(recipe)
    method = noted_method(lake, SIGNATURES, methods)
    new_rows = news(lake, SEGMENTS, SIGNATURES, method, is_all=not step.limit)
    is_kept = (F.col("method_digest") == noted_method(lake, SEGMENTS, methods)) & F.col("drop_reason").isNull()
    segments = new_rows.source.where(is_kept)
    signed = new_rows.made.where(F.col("method_digest") == method).select("segment_id")
    if not signed.isEmpty():  # otherwise the join would sort all texts for nothing
        segments = segments.join(signed, "segment_id", "left_anti")
    if step.limit:
        segments = first_by_hash(segments, "segment_id", step.limit)
    if segments.isEmpty():
        return
    settings = recipe.sign_segments.model_dump()
    lake.write(SIGNATURES, signatures_from(segments, **settings, method_digest=method))


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")
