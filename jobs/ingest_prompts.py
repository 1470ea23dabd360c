"""Read the prompt sets of a recipe into `bronze.evaluation_prompts`; a changed file is a new version of its set.

humpback ingest-prompts --recipe FILE --lake URI --set 'ingest_prompts.sets={vicuna="eval/vicuna.jsonl"}'
"""

from dataclasses import asdict

from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.evaluation import BUILT_IN
from jobs.recipe.prompts import read_set, set_digest
from jobs.recipe.step import Parameters, Planned, Step
from schemas.bronze import EVALUATION_PROMPTS

READS = ()
WRITES = EVALUATION_PROMPTS
UNIT = "prompts"
PARAMETERS = Parameters()


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Read every file again and write the prompts that the lake does not have yet."""
    rows = []
    for name in recipe.prompt_sets:
        prompts, source = read_set(recipe, name), recipe.ingest_prompts.sets.get(name, BUILT_IN)
        version = {"prompt_set": name, "set_digest": set_digest(prompts), "source_file": source}
        rows += [version | asdict(prompt) for prompt in prompts]
    if rows:
        lake.insert(EVALUATION_PROMPTS, rows)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")
