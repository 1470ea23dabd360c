"""Publish A_k of one iteration: the candidates that the current model rates high enough.

humpback curate --iteration 1 --recipe FILE --lake URI
"""

from jobs.current.methods import methods_of
from jobs.current.pairs import pairs
from jobs.current.pool import kept_out, pool
from jobs.current.ratings import counting, judges, scores
from jobs.lake.publish import publish
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.gold import CURATED
from schemas.ops import MODELS, RELEASES
from schemas.silver import CANDIDATES, OVERLAPS, SCORES, SEED_PAIRS, UNLABELLED
from transforms.scoring.curation import Selection, select_curated

READS = (CANDIDATES, SCORES, UNLABELLED, OVERLAPS, SEED_PAIRS, MODELS, RELEASES)
WRITES = CURATED
UNIT = "candidates"
PARAMETERS = Parameters(first_iteration=1)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Publish the curated set of the step's iteration, scored by the model of the iteration before."""
    config, iteration = recipe.curate, step.required_iteration
    models, methods = judges(lake, recipe, iteration - 1), methods_of(recipe)
    scorer_names = (*config.scorers, *config.gates)
    urls = pool(lake, recipe.name).select("segment_id", "url")
    selection = Selection(
        scorers=config.scorers,
        methods=counting(methods, models, scorer_names),
        threshold=config.threshold,
        top_fraction=config.top_fraction,
        gates=config.gates,
        max_pairs=config.max_pairs,
    )
    curated = select_curated(
        pairs(lake, methods, models["backward"].model_id).join(urls, "segment_id"),
        scores(lake, SCORES, methods, models, scorer_names),
        kept_out(lake, recipe),
        selection,
        experiment=recipe.name,
        iteration=iteration,
        model_id=models["forward"].model_id,
    )
    slice = {"experiment": recipe.name, "iteration": iteration}
    publish(lake, CURATED, curated, slice=slice, iteration=iteration, min_rows=config.min_rows)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")
