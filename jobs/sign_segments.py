"""Compute the MinHash of every new kept segment, `silver.signatures`.

humpback sign-segments --recipe FILE --lake URI [--limit N: N segments]
"""

from pyspark.sql import functions as F

from jobs.current.methods import methods_of, of_method
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.silver import SEGMENTS, SIGNATURES
from transforms.dedup.signatures import signatures_from

READS = (SEGMENTS,)
WRITES = SIGNATURES
UNIT = "segments"
PARAMETERS = Parameters(has_limit=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Sign the kept segments that have no signature of this method yet."""
    methods = methods_of(recipe)
    segments = of_method(lake, SEGMENTS, methods).where(F.col("drop_reason").isNull())
    signed = of_method(lake, SIGNATURES, methods).select("segment_id")
    if lake.exists(SIGNATURES):  # else all texts would be sorted to find none
        segments = segments.join(signed, "segment_id", "left_anti")
    if step.limit:
        segments = segments.orderBy("segment_id").limit(step.limit)
    if segments.isEmpty():
        return
    settings = recipe.sign_segments.model_dump()
    lake.write(SIGNATURES, signatures_from(segments, **settings, method_digest=methods[SIGNATURES.name]))


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Look for new rows."""
    return Planned("look for new rows")
