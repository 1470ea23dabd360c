"""The pool of segments that an experiment has drawn, and the segments of it that models are asked about."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.seed import seed_pairs
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.prompts import evaluation_texts
from schemas.silver import OVERLAPS, UNLABELLED
from transforms.dedup.drawing import first_by_hash
from transforms.dedup.unlabelled import SEED_SET

CHARS_PER_TOKEN = 4  # English under a 50,000-word vocabulary; good enough to plan with


def pool(lake: Lake, experiment: str) -> DataFrame:
    """Return the experiment's rows of `silver.unlabelled`."""
    return lake.read(UNLABELLED).where(F.col("experiment") == experiment)


def kept_out(lake: Lake, recipe: Recipe) -> DataFrame:
    """Return the overlaps of the experiment with its current seed pairs and the prompts that its recipe names now.

    They may name segments drawn before. An overlap found under an earlier minimum of common words still counts.
    """
    seed = seed_pairs(lake, recipe.name)
    seed = seed.select(F.lit(SEED_SET).alias("known_set"), F.col("pair_id").alias("known_id"))
    prompts = {(known_set, known_id) for known_set, known_id, _ in evaluation_texts(recipe)}
    known = seed.union(lake.spark.createDataFrame(sorted(prompts), seed.schema)) if prompts else seed
    overlaps = lake.read(OVERLAPS).where(F.col("experiment") == recipe.name)
    return overlaps.join(known.distinct(), ["known_set", "known_id"], "left_semi")


def segments_to_ask(lake: Lake, recipe: Recipe, n: int | None) -> DataFrame:
    """Return the segments of the pool that go to the models: the first `n` in drawing order, or all."""
    segments = pool(lake, recipe.name).join(kept_out(lake, recipe), "segment_id", "left_anti")
    if recipe.generate_candidates.max_chars:
        segments = segments.where(F.col("n_chars") <= recipe.generate_candidates.max_chars)
    return first_by_hash(segments, "sample_hash", n) if n else segments


def planned_size(lake: Lake, recipe: Recipe) -> tuple[int, int | None]:
    """Return the number of segments for the models and their mean tokens; before the draw, the maximum and None."""
    settings = recipe.generate_candidates
    drawn = pool(lake, recipe.name)
    if settings.max_chars:
        drawn = drawn.where(F.col("n_chars") <= settings.max_chars)
    n, mean = drawn.agg(F.count(F.lit(1)), F.mean("n_chars")).collect()[0]
    maximum = settings.n_segments or recipe.select_unlabelled.size
    return (min(n, maximum), int(mean) // CHARS_PER_TOKEN) if n else (maximum, None)
