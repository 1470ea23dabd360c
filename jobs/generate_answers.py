"""A model's answers to evaluation prompts, with both tags, as the paper asks at inference.

humpback generate-answers --iteration 2 --recipe FILE --lake URI
"""

from jobs.config import Recipe
from jobs.inference import complete, prompt_id
from jobs.lake import Lake
from jobs.models import the_model
from jobs.prompt_sets import read_prompts
from schemas.gold import GENERATIONS
from transforms.generations import forward_prompts, generations_from
from transforms.prompts import FORWARD
from transforms.requests import requests_from

READS = ()
WRITES = GENERATIONS
UNIT = "prompts"


def run(lake: Lake, recipe: Recipe) -> None:
    """Answer every prompt of the set with the forward model of `lake.run.iteration`."""
    config, model = recipe.generate_answers, the_model(lake, recipe, "forward", lake.run.needed_iteration)
    prompts = lake.spark.createDataFrame(read_prompts(config.prompts), "prompt_id string, prompt string")
    if lake.run.limit:
        prompts = prompts.orderBy("prompt_id").limit(lake.run.limit)
    asked = lake.staged(prompts)
    requests = requests_from(
        forward_prompts(asked, system=recipe.build_training_examples.inference_tag),
        stage="answers",
        model_id=model.model_id,
        model_digest=model.digest,
        prompt_id=prompt_id(lake, model, FORWARD, recipe),
        sampling={"temperature": config.temperature, "top_p": config.top_p, "max_tokens": config.max_tokens},
    )
    completions = complete(lake, requests, recipe, model)
    rows = generations_from(asked, requests, completions, prompt_set=config.prompt_set)
    lake.write(GENERATIONS, rows)
