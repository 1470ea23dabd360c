"""The pairs that pass an experiment's selection in an iteration: gates first, then the score."""

from pyspark.sql import DataFrame

from jobs.current.methods import methods_of
from jobs.current.pairs import pairs
from jobs.current.pool import kept_out, pool
from jobs.current.ratings import Judges, counting, scores
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.silver import SCORES
from transforms.scoring.curation import Selection, select_curated


def selection_of(recipe: Recipe, models: Judges) -> Selection:
    """Return the selection by the recipe's scorers and gates, with the scores that `models` gave."""
    config = recipe.curate
    return Selection(
        scorers=config.scorers,
        methods=counting(methods_of(recipe), models, (*config.scorers, *config.gates)),
        threshold=config.threshold,
        top_fraction=config.top_fraction,
        gates=config.gates,
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
