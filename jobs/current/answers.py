"""Prompt sets in the lake, the answers to them, and the verdicts on those."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.methods import Methods, of_method
from jobs.current.models import JUDGE, model_if_trained, named_model
from jobs.errors import JobError, RecipeError
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.evaluation import Evaluation, OutsideModel
from jobs.recipe.prompts import read_set, set_digest
from jobs.recipe.step import Step
from model_ops.serving.model import Model
from schemas.bronze import EVALUATION_PROMPTS
from schemas.gold import GENERATIONS, JUDGEMENTS


def named(evaluations: list[Evaluation], step: Step, key: str) -> list[Evaluation]:
    """Return the evaluations whose `key` names the iteration of a step.

    Raises:
        RecipeError: there is none.
    """
    if not evaluations:
        raise RecipeError(
            f"{step.name} --iteration {step.iteration}: no [[evaluation]] of the recipe has {step.iteration} among its "
            f"{key}; add it to one"
        )
    return evaluations


def evaluation_prompts(lake: Lake, recipe: Recipe, name: str) -> DataFrame:
    """Return the rows of `bronze.evaluation_prompts` of the version of a set that the recipe's file holds now.

    Raises:
        JobError: the lake does not hold that version.
        RecipeError: the file cannot be read.
    """
    prompts = stored_prompts(lake, recipe, name)
    if prompts is None:
        raise JobError(
            f"bronze.evaluation_prompts: no prompts of the set {name} as its file has them now; run `humpback "
            "ingest-prompts` first"
        )
    return prompts


def stored_prompts(lake: Lake, recipe: Recipe, name: str) -> DataFrame | None:
    """Return the rows of `evaluation_prompts`, or None if the lake does not hold every prompt of that version."""
    prompts = read_set(recipe, name)
    is_version = (F.col("prompt_set") == name) & (F.col("set_digest") == set_digest(prompts))
    stored = lake.read(EVALUATION_PROMPTS).where(is_version)
    return stored if stored.count() == len(prompts) else None


def answers(lake: Lake, methods: Methods, model_id: str, evaluation: Evaluation) -> DataFrame:
    """Return a model's first answer (sample 0) to each prompt of an evaluation, by the method that counts."""
    is_asked = (F.col("model_id") == model_id) & (F.col("prompt_set") == evaluation.set) & (F.col("sample") == 0)
    return of_method(lake, GENERATIONS, methods, evaluation.label).where(is_asked)


def judge_of(lake: Lake, recipe: Recipe, evaluation: Evaluation) -> Model | OutsideModel | None:
    """Return the judge of an evaluation: the named one, else the last forward model, if it is trained.

    Raises:
        RecipeError: no model has the name.
    """
    if not evaluation.judge:
        return model_if_trained(lake, recipe, "forward", recipe.iterations)
    return recipe.outside_models.get(evaluation.judge) or named_model(lake, evaluation.judge, JUDGE)


@dataclass(frozen=True)
class Comparison:
    """A judge's comparison of a model's answers with a reference model's on a prompt set; models by id."""

    judge_id: str
    prompt_set: str
    model_id: str
    reference_id: str


def verdicts(lake: Lake, methods: Methods, evaluation: Evaluation, comparison: Comparison) -> DataFrame:
    """Return the judge's verdicts on the two models' answers, by the method that counts."""
    rows = of_method(lake, JUDGEMENTS, methods, evaluation.label)
    for name, value in vars(comparison).items():
        rows = rows.where(F.col(name) == value)
    return rows
