"""The figures about models: their methods and rows, and the rows of an experiment that count."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.current.answers import judge_of
from jobs.current.methods import methods_of, of_method
from jobs.current.models import model_if_trained
from jobs.current.ratings import scores, trained_judges
from jobs.current.seed import held_out_pairs
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import losses_digest, separations_digest, win_rates_digest
from schemas.bronze import COMPLETIONS
from schemas.gold import EVALUATIONS, JUDGEMENTS
from schemas.silver import KNOWN_SCORES
from transforms.evaluation.figures import Figure, separations, win_rates
from transforms.evaluation.held_out import EVALUATION
from transforms.scoring.known_pairs import OF_SEED, kind_of
from transforms.scoring.scorers import SCORERS

ONE = ("evaluation", "metric", "model_id", "reference_id", "judge_id")
"""The columns that identify a figure of an experiment; later answers to failed requests make it anew."""
KNOWN, ANSWERS = "known_pairs/", "answers/"
"""Beginnings of the evaluations by known pairs, per scorer, and by verdicts, per prompt set."""


@dataclass(frozen=True)
class About:
    """The subject of figures: an evaluation, by one method, of a model or of a model against a reference."""

    evaluation: str
    method_digest: str
    model_id: str
    reference_id: str | None = None
    judge_id: str | None = None


def measured_pairs(lake: Lake, recipe: Recipe) -> DataFrame:
    """Return the held-out pairs whose responses' loss is measured, with the columns that their requests need."""
    pairs = held_out_pairs(lake, recipe.name, recipe.evaluate_models.pairs)
    return pairs.select("pair_id", "instruction", "response")


def evaluation_methods(recipe: Recipe, pairs: DataFrame) -> dict[str, str]:
    """Map each evaluation of a recipe to the digest of its current method; `pairs` are the `measured_pairs`."""
    scorers = recipe.judge_check.scorers or recipe.score_candidates.scorers
    return {
        EVALUATION: losses_digest(recipe, [tuple(row) for row in pairs.collect()]),
        **{KNOWN + name: separations_digest(recipe, name) for name in scorers},
        **{ANSWERS + entry.label: win_rates_digest(recipe, entry) for entry in recipe.evaluation},
    }


def figure_rows(lake: RunLake, about: About, figures: Iterable[Figure], n_asked: int) -> Iterator[dict[str, Any]]:
    """Yield rows of `gold.evaluations`; `n_asked` counts the items asked about, whether or not they count."""
    versions = dict(lake.versions_read)
    if COMPLETIONS.name in versions:  # the run may have added answers since it read the ledger first
        versions[COMPLETIONS.name] = lake.version(COMPLETIONS) or 0
    for figure in figures:
        yield vars(about) | {
            "figure_id": _figure_id(lake.run.experiment, about, figure),
            "experiment": lake.run.experiment,
            "metric": figure.metric,
            "value": figure.value,
            "low": figure.low,
            "high": figure.high,
            "n": len(figure.items),
            "n_left_out": n_asked - len(figure.items),
            "versions": versions,
            "run_id": lake.run.run_id,
        }


def _figure_id(experiment: str, about: About, figure: Figure) -> str:
    """Hash what a figure depends on; answers and ratings never change, so the items' ids stand for them."""
    identity = (experiment, *(value or "" for value in vars(about).values()), figure.metric, *figure.items)
    return hashlib.sha256("\u001f".join(identity).encode()).hexdigest()


def known_pair_rows(
    lake: RunLake, recipe: Recipe, iteration: int, methods: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the AUC of an iteration's models on held-out pairs and spoilt ones, for each scorer that rated them."""
    models = trained_judges(lake, recipe, iteration)
    for evaluation, method in methods.items():
        name = evaluation.removeprefix(KNOWN)
        if name == evaluation or SCORERS[name].direction not in models:
            continue
        rated = scores(lake, KNOWN_SCORES, methods_of(recipe), models, [name])
        rows = rated.where(F.col("pair_id").startswith(OF_SEED)).select("pair_id", "score").collect()
        about = About(evaluation, method, models[SCORERS[name].direction].model_id)
        for figure in separations({row.pair_id: row.score for row in rows if row.score is not None}):
            kinds = {kind_of(pair_id) for pair_id in figure.items}
            yield from figure_rows(lake, about, [figure], sum(kind_of(row.pair_id) in kinds for row in rows))


def win_rate_rows(
    lake: RunLake, recipe: Recipe, iteration: int, methods: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the win rates of the models up to an iteration, by each judge that compared their answers."""
    models = (model_if_trained(lake, recipe, "forward", t) for t in range(iteration + 1))
    ids = [model.model_id for model in models if model]
    for evaluation in recipe.evaluation:
        name = ANSWERS + evaluation.label
        verdicts = of_method(lake, JUDGEMENTS, methods_of(recipe), evaluation.label)
        judge, reference = (
            judge_of(lake, recipe, evaluation),
            model_if_trained(lake, recipe, "forward", evaluation.reference),
        )
        if judge is None or reference is None:
            continue
        compared_with = (F.col("judge_id") == judge.model_id) & (F.col("reference_id") == reference.model_id)
        verdicts = verdicts.where((F.col("prompt_set") == evaluation.set) & F.col("model_id").isin(ids))
        by_judge: dict[tuple[str, str, str], dict[str, float | None]] = {}
        for row in verdicts.where(compared_with & (F.col("model_id") != reference.model_id)).collect():
            by_judge.setdefault((row.model_id, row.reference_id, row.judge_id), {})[row.prompt_id] = row.preference
        for compared, preferences in sorted(by_judge.items()):
            given = {prompt: preference for prompt, preference in preferences.items() if preference is not None}
            about = About(name, methods[name], *compared)
            yield from figure_rows(lake, about, win_rates(given), len(preferences))


def evaluations(lake: Lake, experiment: str, methods: Mapping[str, str]) -> DataFrame:
    """Return an experiment's figures by these methods.

    Of several rows of one figure, the one from the most items counts: a request that failed may be answered later.
    """
    current = lake.read(EVALUATIONS).where(F.col("experiment") == experiment)
    current = current.where(F.col("method_digest").isin(*methods.values()))
    order = Window.partitionBy(*ONE).orderBy(F.desc("n"), "figure_id")
    return current.withColumn("place", F.row_number().over(order)).where("place = 1").drop("place")
