"""Measure a forward model on held-out seed pairs: its loss, and the change from the model before it.

humpback evaluate-models --iteration 2 --recipe FILE --lake URI

The model of iteration 0 is compared with the base model, every later one with the one before it and with M0. The
figures go to `gold.evaluations`, and with them the AUC of the model's ratings of known pairs and its win rates, where
other jobs have made those.
"""

import logging
from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.evaluations import (
    About,
    evaluation_methods,
    evaluations,
    figure_rows,
    known_pair_rows,
    measured_pairs,
    win_rate_rows,
)
from jobs.current.ledger import n_unanswered
from jobs.current.models import base_model, model_if_trained, required_model
from jobs.current.notes import evaluation_method
from jobs.current.registration import register_base
from jobs.errors import WaitingError
from jobs.inference.ask import ask
from jobs.inference.rating import score_requests
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Servers, Step
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.gold import EVALUATIONS, JUDGEMENTS
from schemas.ops import BASE_MODELS, MODELS, PROMPTS, RELEASES
from schemas.silver import KNOWN_SCORES, SEED_PAIRS
from transforms.evaluation.held_out import EVALUATION, SCORER, Answers, Response, changes, losses
from transforms.evaluation.likelihoods import likelihoods_from
from transforms.scoring.answer_kinds import GIVEN
from transforms.scoring.scorers import asking

READS = (SEED_PAIRS, COMPLETIONS, PROMPTS, MODELS, BASE_MODELS, RELEASES, KNOWN_SCORES, JUDGEMENTS)
WRITES = EVALUATIONS
UNIT = "figures"
PARAMETERS = Parameters(first_iteration=0)
SHOWN = ("evaluation", "metric", "model_id", "reference_id", "value", "low", "high", "n", "n_left_out")

log = logging.getLogger(__name__)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Measure the step's model and those that it is compared with; requests already answered are not sent."""
    iteration, pairs = step.required_iteration, materialised(measured_pairs(lake, recipe))
    methods = evaluation_methods(recipe, pairs)
    lake.methods_read.update({evaluation_method(name): digest for name, digest in methods.items()})
    rows = [*_held_out_rows(lake, recipe, step, pairs, methods[EVALUATION])]
    rows += known_pair_rows(lake, recipe, iteration, methods)
    rows += win_rate_rows(lake, recipe, iteration, methods)
    if rows:
        lake.insert(EVALUATIONS, rows)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the requests to the models that no earlier step of the loop measures."""
    earlier = {t for s in recipe.measured_iterations if s < step.required_iteration for t in compared(s)}
    pairs, n = measured_pairs(lake, recipe), 0
    n_pairs = pairs.count()
    for t in compared(step.required_iteration):
        if t in earlier:
            continue
        model = None
        if n_pairs:  # a large base model takes long to digest
            model = base_model(recipe) if t is None else model_if_trained(lake, recipe, "forward", t)
        if model:
            n += n_unanswered(lake, _requests(recipe, step.required_servers, model, pairs), model)
        else:  # before the seed is drawn, the maximum
            n += n_pairs or recipe.evaluate_models.pairs
    return Planned("ask for likelihoods of held-out responses", n)


def result(lake: Lake, recipe: Recipe, step: Step) -> DataFrame:
    """Return the model's figures as the table that the command prints."""
    model = required_model(lake, recipe, "forward", step.required_iteration)
    methods = evaluation_methods(recipe, measured_pairs(lake, recipe))
    found = evaluations(lake, recipe.name, methods).where(F.col("model_id") == model.model_id)
    return found.select(*SHOWN).orderBy("evaluation", "metric", "reference_id")


def compared(iteration: int) -> tuple[int | None, ...]:
    """Return the iteration, then those of the models that its model is compared with; None is the base model."""
    return (0, None) if iteration == 0 else tuple(dict.fromkeys((iteration, iteration - 1, 0)))


def _held_out_rows(
    lake: RunLake, recipe: Recipe, step: Step, pairs: DataFrame, method: str
) -> Iterator[dict[str, Any]]:
    """Yield the losses of the compared models, and the changes from each of the others to the step's model."""
    n_pairs = pairs.count()
    if not n_pairs:
        log.warning("no loss is measured: silver.seed_pairs has no held-out pair; raise select_seed.dev_share")
        return
    answered: dict[str, Answers] = {}
    for t in compared(step.required_iteration):
        model = register_base(lake, recipe) if t is None else required_model(lake, recipe, "forward", t)
        try:
            answered[model.model_id] = _answers(lake, recipe, step.required_servers, model, pairs)
        except WaitingError as error:
            if t is not None:
                raise
            # Nothing else needs the base model, so a loop with endpoints does not wait until one serves it.
            log.warning("the base model is not measured: %s", error)
    first, *references = answered
    for model_id, answers in answered.items():
        if left_out := n_pairs - len(answers):
            log.warning("%s: %d of %d held-out pairs left out for lack of an answer", model_id, left_out, n_pairs)
        yield from figure_rows(lake, About(EVALUATION, method, model_id), losses(answers), n_pairs)
    for reference in references:
        about = About(EVALUATION, method, first, reference)
        yield from figure_rows(lake, about, changes(answered[first], answered[reference]), n_pairs)


def _answers(lake: RunLake, recipe: Recipe, servers: Servers, model: Model, pairs: DataFrame) -> Answers:
    """Return each pair's response under a model, after sending the requests without an answer."""
    requests = _requests(recipe, servers, model, pairs)
    completions = ask(lake, servers, model, requests, asking(SCORER).template)
    rows = likelihoods_from(requests, completions).collect()
    return {row.subject_id: Response(row.logprob, row.tokens) for row in rows}


def _requests(recipe: Recipe, servers: Servers, model: Model, pairs: DataFrame) -> DataFrame:
    """Build the scorer's requests for the responses given their instructions, to share its answers in the ledger."""
    return score_requests(recipe, servers, model, pairs, SCORER).where(F.col("part") == GIVEN)
