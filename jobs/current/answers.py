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
    """The recipe's evaluation prompts: `prompt_id`, `prompt`."""
    prompts = read_prompts(recipe.generate_answers.prompts)
    return lake.spark.createDataFrame(prompts, "prompt_id string, prompt string")


def answers(lake: Lake, methods: Methods, model_id: str, prompt_set: str) -> DataFrame:
    """The first answer of a model to each prompt of a set, by the method that counts."""
    mine = (F.col("model_id") == model_id) & (F.col("prompt_set") == prompt_set) & (F.col("sample") == 0)
    return of_method(lake, GENERATIONS, methods).where(mine)


@dataclass(frozen=True)
class Comparison:
    """Whose answers to which prompts are compared with whose, and by which judge; model ids."""

    judge_id: str
    prompt_set: str
    model_id: str
    reference_id: str


def verdicts(lake: Lake, methods: Methods, of: Comparison) -> DataFrame:
    """The judge's verdicts on the two models' answers, by the method that counts."""
    found = of_method(lake, JUDGEMENTS, methods)
    for name, value in vars(of).items():
        found = found.where(F.col(name) == value)
    return found
