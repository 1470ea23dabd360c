"""A model's answers to evaluation prompts, with both tags, as the paper asks at inference.

humpback generate-answers --iteration 2 --recipe FILE --lake URI
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.models import Model, the_model
from jobs.current.prompts import read_prompts
from jobs.inference.ask import ask, requests_for
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.gold import GENERATIONS
from transforms.evaluation.generations import forward_prompts, generations_from
from transforms.prompting.prompts import FORWARD

READS = ()
WRITES = GENERATIONS
UNIT = "prompts"

ASKED = ["model_id", "subject_id", "request_id"]  # models of the same weights, and equal prompts, share requests


def run(lake: Lake, recipe: Recipe) -> None:
    """Answer every prompt of the set that has no answer yet with the forward model of `lake.run.iteration`."""
    config, model = recipe.generate_answers, the_model(lake, recipe, "forward", lake.run.needed_iteration)
    prompts = wanted_prompts(lake, recipe)
    if lake.run.limit:
        prompts = prompts.orderBy("prompt_id").limit(lake.run.limit)
    known = lake.latest(GENERATIONS).where(F.col("prompt_set") == config.prompt_set)
    known = known.withColumnRenamed("prompt_id", "subject_id").select(*ASKED)
    requests = materialised(answer_requests(recipe, model, prompts).join(known, ASKED, "left_anti"))
    if requests.isEmpty():
        return
    completions = ask(lake, recipe, model, requests, FORWARD)
    lake.write(GENERATIONS, generations_from(prompts, requests, completions, prompt_set=config.prompt_set))


def current_answers(lake: Lake, recipe: Recipe, model: Model) -> DataFrame:
    """The first answers of `model` to the recipe's prompts, asked as the recipe asks now."""
    asked = answer_requests(recipe, model, wanted_prompts(lake, recipe)).select(*ASKED)
    mine = (F.col("prompt_set") == recipe.generate_answers.prompt_set) & (F.col("sample") == 0)
    given = lake.read(GENERATIONS).where(mine).withColumn("subject_id", F.col("prompt_id"))
    return given.join(asked, ASKED, "left_semi").select(*GENERATIONS.columns)


def answer_sampling(recipe: Recipe) -> dict[str, float]:
    """How answers are sampled."""
    return recipe.generate_answers.model_dump(include={"temperature", "top_p", "max_tokens"})


def wanted_prompts(lake: Lake, recipe: Recipe) -> DataFrame:
    """The recipe's evaluation prompts: `prompt_id`, `prompt`."""
    prompts = read_prompts(recipe.generate_answers.prompts)
    return lake.spark.createDataFrame(prompts, "prompt_id string, prompt string")


def answer_requests(recipe: Recipe, model: Model, prompts: DataFrame) -> DataFrame:
    """What `model` is asked, as the recipe asks now."""
    asked = forward_prompts(prompts, system=recipe.build_training_examples.inference_tag)
    return requests_for(recipe, model, asked, stage="answers", template=FORWARD, sampling=answer_sampling(recipe))
