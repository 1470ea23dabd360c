"""Check the scorers on pairs whose quality is known.

humpback judge-check --iteration 0 --recipe FILE --lake URI [--pairs FILE] [--precision 0.9]
"""

import json
from dataclasses import astuple

from pyspark.sql import DataFrame

from jobs.current.methods import methods_of
from jobs.current.ratings import judges, scores, trained_judges
from jobs.current.seed import held_out_pairs, seed_pairs
from jobs.errors import JobError, RecipeError
from jobs.inference.rating import n_requests_to_send, rate
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.files import read_text
from jobs.recipe.scoring import ScorerName
from jobs.recipe.step import Option, Parameters, Planned, Step
from schemas.bronze import COMPLETIONS
from schemas.ops import MODELS, PROMPTS, RELEASES
from schemas.silver import KNOWN_SCORES, SEED_PAIRS
from transforms.scoring.judge_check import PAPER, Measure, combined, measures
from transforms.scoring.known_pairs import Pair, labelled, spoilt
from transforms.scoring.scorers import SCORERS

READS = (SEED_PAIRS, COMPLETIONS, PROMPTS, MODELS, RELEASES)
WRITES = KNOWN_SCORES
UNIT = "ratings"
PARAMETERS = Parameters(
    first_iteration=0,
    options=(
        Option(
            "--pairs",
            "FILE",
            "your own labels: JSON lines of instruction, response and label (true or false)",
            lambda file: f"judge_check.file={json.dumps(file)}",
        ),
        Option(
            "--precision",
            "P",
            "report the lowest threshold whose precision reaches P",
            lambda share: f"judge_check.precision={float(share)}",
        ),
    ),
)
FIGURES = "scorer string, model_id string, measure string, of string, value double, low double, high double, n bigint"


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Rate the known pairs with the forward model of the step's iteration, and M_yx where a scorer asks it."""
    models = judges(lake, recipe, step.required_iteration)
    rate(lake, recipe, step.required_servers, models, dict.fromkeys(scorers(recipe), known_pairs(lake, recipe)))


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the ratings of the known pairs; before the seed is drawn, the maximum."""
    config, names = recipe.judge_check, scorers(recipe)
    if not config.file and seed_pairs(lake, recipe.name).isEmpty():
        n = (
            config.pairs
            * (1 + len(config.kinds))
            * sum(SCORERS[name].requests_per_pair(recipe.score_candidates) for name in names)
        )
    else:
        models = trained_judges(lake, recipe, step.required_iteration)
        pairs = dict.fromkeys(names, known_pairs(lake, recipe))
        n = n_requests_to_send(lake, recipe, step.required_servers, models, pairs)
    return Planned("ask for ratings of known pairs", n)


def result(lake: Lake, recipe: Recipe, step: Step) -> DataFrame:
    """Return the figures as the table that the command prints."""
    return lake.spark.createDataFrame([*map(astuple, figures(lake, recipe, step.required_iteration))], FIGURES)


def figures(lake: Lake, recipe: Recipe, iteration: int) -> list[Measure]:
    """Measure the ratings of the recipe's known pairs by one iteration's models, and append the paper's figures."""
    models = judges(lake, recipe, iteration)
    current = scores(lake, KNOWN_SCORES, methods_of(recipe), models, scorers(recipe)).where("status = 'ok'")
    pairs = known_pairs(lake, recipe).select("pair_id")
    ratings = [
        (row.pair_id, row.scorer, row.model_id, row.score)
        for row in current.join(pairs, "pair_id", "left_semi").orderBy("scorer", "pair_id").collect()
    ]
    results = [*measures(ratings, thresholds=thresholds(recipe), target=recipe.judge_check.precision)]
    return [*results, *combined(ratings), *PAPER]


def thresholds(recipe: Recipe) -> dict[str, float]:
    """Return the threshold of each scorer that has one in the recipe's curation, gates included."""
    curate = recipe.curate
    by_scorer: dict[str, float] = {name: minimum for name, minimum in curate.gates.items()}
    if len(curate.scorers) == 1 and curate.top_fraction is None and curate.threshold is not None:
        by_scorer[curate.scorers[0]] = curate.threshold
    return by_scorer


def scorers(recipe: Recipe) -> tuple[ScorerName, ...]:
    """Return the scorers to check; by default those of `score_candidates`."""
    return recipe.judge_check.scorers or recipe.score_candidates.scorers


def known_pairs(lake: Lake, recipe: Recipe) -> DataFrame:
    """Return the pairs of the user's file, else held-out seed pairs and versions of them made worse.

    Raises:
        JobError: there are none.
        RecipeError: the user's file cannot be read, or has a bad line.
    """
    config = recipe.judge_check
    if config.file:
        pairs = _labelled_pairs(config.file)
    else:
        dev = held_out_pairs(lake, recipe.name, config.pairs)
        held_out = dev.select("source", "pair_id", "instruction", "response").collect()
        pairs = [*spoilt(map(tuple, held_out), config.kinds)]
    if not pairs:
        raise JobError(
            "judge-check: no pairs to rate, since silver.seed_pairs has no held-out pair; pass --pairs FILE, or start "
            "an experiment of another name with a larger select_seed.dev_share"
        )
    return lake.spark.createDataFrame(pairs, "pair_id string, instruction string, response string")


def _labelled_pairs(file: str) -> list[Pair]:
    lines = read_text("judge_check.file", file).split("\n")
    try:
        return [*{pair[0]: pair for pair in labelled(lines)}.values()]
    except ValueError as error:
        raise RecipeError(f"judge_check.file: {file}, {error}") from error
