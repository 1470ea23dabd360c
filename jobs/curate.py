"""Publish A_k of one iteration: the candidates that the current model rates high enough.

humpback curate --iteration 1 --recipe FILE --lake URI
"""

import logging

from jobs.current.methods import methods_of
from jobs.current.pairs import pairs
from jobs.current.pool import kept_out, pool
from jobs.current.ratings import counting, judges, scores
from jobs.current.seed import seed_pairs
from jobs.errors import JobError
from jobs.lake.publish import publish
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.gold import CURATED
from schemas.ops import MODELS, RELEASES
from schemas.silver import CANDIDATES, OVERLAPS, SCORES, SEED_PAIRS, UNLABELLED
from transforms.scoring.curation import Selection, select_curated
from transforms.scoring.leaks import seed_leak

READS = (CANDIDATES, SCORES, UNLABELLED, OVERLAPS, SEED_PAIRS, MODELS, RELEASES)
WRITES = CURATED
UNIT = "candidates"
PARAMETERS = Parameters(first_iteration=1)

log = logging.getLogger(__name__)


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
        max_leak=_max_leak(lake, recipe),
        per_segment=config.per_segment,
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


def _max_leak(lake: Lake, recipe: Recipe) -> float | None:
    """Return the largest leak of a kept pair: the recipe's number, or what 99 % of the seed pairs do not exceed.

    Raises:
        JobError: the limit is the seed's, and there is no seed.
    """
    if recipe.curate.max_leak != "seed":
        return recipe.curate.max_leak
    [row] = seed_leak(seed_pairs(lake, recipe.name)).collect()
    if row.quantile is None:
        raise JobError(
            f'curate.max_leak = "seed": silver.seed_pairs has no pair of {recipe.name}; run `humpback select-seed` '
            "with this recipe, or set curate.max_leak to a number"
        )
    log.info("curate.max_leak: 99 %% of the seed pairs leak at most %.3f, which is the limit", row.quantile)
    limit: float = row.quantile
    return limit


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")
