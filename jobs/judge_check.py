"""Does the judge know anything? What the scorers say of pairs whose truth is known.

humpback judge-check --iteration 0 --recipe FILE --lake URI [--pairs FILE] [--precision 0.9]
"""

from pyspark.sql import DataFrame

from jobs.errors import JobError, RecipeError
from jobs.inference.rating import judges, methods, rate
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.files import read_lines
from jobs.recipe.scoring import ScorerName
from jobs.select_seed import seed_of
from schemas.silver import KNOWN_SCORES, SEED_PAIRS
from transforms.scoring.judge_check import PAPER, Measure, combined, measures
from transforms.scoring.known_pairs import Pair, labelled, spoilt
from transforms.scoring.scores import made_by

READS = (SEED_PAIRS,)
WRITES = KNOWN_SCORES
UNIT = "ratings"
FIGURES = "scorer string, model_id string, measure string, of string, value double, low double, high double, n bigint"


def run(lake: Lake, recipe: Recipe) -> None:
    """Rate the known pairs with the forward model of `lake.run.iteration`, and M_yx where a scorer asks it."""
    models = judges(lake, recipe, lake.run.needed_iteration)
    rate(lake, recipe, models, dict.fromkeys(scorers(recipe), known_pairs(lake, recipe)))


def figures(lake: Lake, recipe: Recipe, iteration: int) -> list[Measure]:
    """What the ratings of the recipe's known pairs by one iteration's models are worth, and what the paper says."""
    mine = methods(recipe, judges(lake, recipe, iteration), scorers(recipe))
    scores = made_by(lake.latest(KNOWN_SCORES).where("status = 'ok'"), mine)
    pairs = known_pairs(lake, recipe).select("pair_id")
    ratings = [
        (row.pair_id, row.scorer, row.model_id, row.score)
        for row in scores.join(pairs, "pair_id", "left_semi").orderBy("scorer", "pair_id").collect()
    ]
    found = [*measures(ratings, thresholds=thresholds(recipe), target=recipe.judge_check.precision)]
    return [*found, *combined(ratings), *PAPER]


def thresholds(recipe: Recipe) -> dict[str, float]:
    """The scorers with a threshold in the recipe's curation, a gate's included."""
    curate = recipe.curate
    alone = len(curate.scorers) == 1 and curate.top_fraction is None and curate.threshold is not None
    return {**curate.gates, **({curate.scorers[0]: curate.threshold} if alone else {})}  # type: ignore[dict-item]


def scorers(recipe: Recipe) -> tuple[ScorerName, ...]:
    """The scorers that are checked."""
    return recipe.judge_check.scorers or recipe.score_candidates.scorers


def known_pairs(lake: Lake, recipe: Recipe) -> DataFrame:
    """The user's own pairs, else held-out seed pairs and what was made of them.

    Raises:
        JobError: there are none.
        RecipeError: the user's file cannot be read, or has a bad line.
    """
    config = recipe.judge_check
    if config.file:
        pairs = _own(config.file)
    else:
        dev = seed_of(lake, recipe).where("split = 'dev'").orderBy("pair_id").limit(config.pairs)
        held_out = dev.select("source", "pair_id", "instruction", "response").collect()
        pairs = [*spoilt(map(tuple, held_out), config.kinds)]
    if not pairs:
        raise JobError(
            "judge-check: no pairs; silver.seed_pairs holds none out (select_seed.dev_share), or say --pairs"
        )
    return lake.spark.createDataFrame(pairs, "pair_id string, instruction string, response string")


def _own(file: str) -> list[Pair]:
    lines = read_lines("judge_check.file", file)
    try:
        return [*{pair[0]: pair for pair in labelled(lines)}.values()]
    except ValueError as error:
        raise RecipeError(f"judge_check.file: {file}, {error}") from error
