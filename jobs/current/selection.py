"""The pairs that pass an experiment's selection in an iteration: gates first, then the score."""

import logging

from pyspark.sql import DataFrame

from jobs.current.methods import methods_of
from jobs.current.pairs import pairs
from jobs.current.pool import kept_out, pool
from jobs.current.ratings import Judges, counting, scores
from jobs.current.seed import seed_pairs
from jobs.errors import JobError
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.silver import SCORES
from transforms.scoring.curation import Selection, select_curated
from transforms.scoring.leaks import seed_leak

log = logging.getLogger(__name__)


def selection_of(lake: Lake, recipe: Recipe, models: Judges) -> Selection:
    """Return the selection by the recipe's scorers and gates, with the scores that `models` gave.

    Raises:
        JobError: the leak limit is the seed's, and there is no seed.
    """
    config = recipe.curate
    return Selection(
        scorers=config.scorers,
        methods=counting(methods_of(recipe), models, (*config.scorers, *config.gates)),
        threshold=config.threshold,
        top_fraction=config.top_fraction,
        gates=config.gates,
        max_leak=_max_leak(lake, recipe),
        per_segment=config.per_segment,
        max_pairs=config.max_pairs,
    )


def selected(lake: Lake, recipe: Recipe, iteration: int, models: Judges, selection: Selection) -> DataFrame:
    """Return the experiment's pairs as rows of `gold.curated`, with a `drop_reason` where a pair is not selected."""
    methods = methods_of(recipe)
    urls = pool(lake, recipe.name).select("segment_id", "url")
    return select_curated(
        pairs(lake, methods, models["backward"].model_id).join(urls, "segment_id"),
        scores(lake, SCORES, methods, models, (*selection.scorers, *selection.gates)),
        kept_out(lake, recipe),
        selection,
        experiment=recipe.name,
        iteration=iteration,
        model_id=models["forward"].model_id,
    )


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
