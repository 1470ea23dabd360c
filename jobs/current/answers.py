"""Answers to evaluation prompts, and the verdicts on them."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.methods import Methods, of_method
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.prompts import read_prompts
from schemas.gold import GENERATIONS, JUDGEMENTS


def evaluation_prompts(lake: Lake, recipe: Recipe) -> DataFrame:
    """Read the recipe's evaluation prompts as `prompt_id` and `prompt`."""
    prompts = read_prompts(recipe.generate_answers.prompts)
    return lake.spark.createDataFrame(prompts, "prompt_id string, prompt string")


def answers(lake: Lake, methods: Methods, model_id: str, prompt_set: str) -> DataFrame:
    """Return a model's first answer (sample 0) to each prompt of a set, by the method that counts."""
    is_asked = (F.col("model_id") == model_id) & (F.col("prompt_set") == prompt_set) & (F.col("sample") == 0)
    return of_method(lake, GENERATIONS, methods).where(is_asked)


@dataclass(frozen=True)
class Comparison:
    """A judge's comparison of a model's answers with a reference model's on a prompt set; models by id."""

    judge_id: str
    prompt_set: str
    model_id: str
    reference_id: str


def verdicts(lake: Lake, methods: Methods, comparison: Comparison) -> DataFrame:
    """Return the judge's verdicts on the two models' answers, by the method that counts."""
    rows = of_method(lake, JUDGEMENTS, methods)
    for name, value in vars(comparison).items():
        rows = rows.where(F.col(name) == value)
    return rows
