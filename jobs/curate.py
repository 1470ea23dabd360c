"""A_k of one iteration: the candidates that the current model rates high enough, published.

humpback curate --iteration 1 --recipe FILE --lake URI
"""

from pyspark.sql import functions as F

from jobs.current.prompts import kept_out
from jobs.generate_candidates import current_candidates
from jobs.inference.rating import judges, methods
from jobs.lake.publish import publish
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.gold import CURATED
from schemas.silver import CANDIDATES, OVERLAPS, SCORES, SEED_PAIRS, UNLABELLED
from transforms.scoring.curation import Selection, select_curated

READS = (CANDIDATES, SCORES, UNLABELLED, OVERLAPS, SEED_PAIRS)
WRITES = CURATED
UNIT = "candidates"


def run(lake: Lake, recipe: Recipe) -> None:
    """Publish the curated set of `lake.run.iteration`, scored by the model of the iteration before."""
    config, iteration = recipe.curate, lake.run.needed_iteration
    models = judges(lake, recipe, iteration - 1)
    pool = lake.read(UNLABELLED).where(F.col("experiment") == recipe.name).select("segment_id", "url")
    candidates = current_candidates(lake, recipe, models["backward"]).join(pool, "segment_id")
    selection = Selection(
        scorers=config.scorers,
        methods=methods(recipe, models, (*config.scorers, *config.gates)),
        threshold=config.threshold,
        top_fraction=config.top_fraction,
        gates=config.gates,
    )
    curated = select_curated(
        candidates,
        lake.read(SCORES),
        kept_out(lake, recipe),
        selection,
        experiment=recipe.name,
        iteration=iteration,
        model_id=models["forward"].model_id,
    )
    slice = {"experiment": recipe.name, "iteration": iteration}
    publish(lake, CURATED, curated, slice=slice, iteration=iteration, least=config.min_rows)
