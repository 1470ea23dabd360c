"""A model's answers to evaluation prompts, with both tags, as the paper asks at inference.

humpback generate-answers --iteration 2 --recipe FILE --lake URI
"""

from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.inference import ask, requests_for
from jobs.lake import Lake
from jobs.models import the_model
from jobs.prompt_sets import read_prompts
from schemas.gold import GENERATIONS
from transforms.generations import forward_prompts, generations_from
from transforms.prompts import FORWARD

READS = ()
WRITES = GENERATIONS
UNIT = "prompts"


def run(lake: Lake, recipe: Recipe) -> None:
    """Answer every prompt of the set that has no answer yet with the forward model of `lake.run.iteration`."""
    config, model = recipe.generate_answers, the_model(lake, recipe, "forward", lake.run.needed_iteration)
    prompts = lake.spark.createDataFrame(read_prompts(config.prompts), "prompt_id string, prompt string")
    if lake.run.limit:
        prompts = prompts.orderBy("prompt_id").limit(lake.run.limit)
    mine = (F.col("model_id") == model.model_id) & (F.col("prompt_set") == config.prompt_set)
    known = lake.latest(GENERATIONS).where(mine).select("prompt_id")
    asked = lake.staged(prompts.join(known, "prompt_id", "left_anti"))
    if asked.isEmpty():
        return
    requests = requests_for(
        recipe, model, forward_prompts(asked, system=recipe.build_training_examples.inference_tag), stage="answers",
        template=FORWARD,
        sampling={"temperature": config.temperature, "top_p": config.top_p, "max_tokens": config.max_tokens},
    )  # fmt: skip
    completions = ask(lake, recipe, model, requests, FORWARD)
    lake.write(GENERATIONS, generations_from(asked, requests, completions, prompt_set=config.prompt_set))
