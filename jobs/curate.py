"""Publish A_k of one iteration: the candidates that the current model rates high enough.

humpback curate --iteration 1 --recipe FILE --lake URI
"""

from dataclasses import replace

from jobs.current.ratings import judges
from jobs.current.rewriting import current_rewrites
from jobs.current.selection import selected, selection_of
from jobs.lake.publish import publish
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.gold import CURATED
from schemas.ops import MODELS, RELEASES
from schemas.silver import CANDIDATES, OVERLAPS, REWRITES, SCORES, SEED_PAIRS, UNLABELLED
from transforms.rewriting.responses import with_rewrites
from transforms.scoring.curation import drawn

READS = (CANDIDATES, REWRITES, SCORES, UNLABELLED, OVERLAPS, SEED_PAIRS, MODELS, RELEASES)
WRITES = CURATED
UNIT = "candidates"
PARAMETERS = Parameters(first_iteration=1)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Publish the curated set of the step's iteration, scored by the model of the iteration before.

    Raises:
        StoppedError: an expectation on the set failed.
    """
    iteration = step.required_iteration
    models = judges(lake, recipe, iteration - 1)
    selection, config = selection_of(lake, recipe, models), recipe.curate
    if config.response == "original":
        curated = selected(lake, recipe, iteration, models, selection)
    else:
        curated = selected(lake, recipe, iteration, models, replace(selection, max_pairs=None))
        curated = with_rewrites(curated, current_rewrites(lake, recipe, iteration), config.response)
        curated = drawn(curated, config.max_pairs) if config.max_pairs else curated
    slice = {"experiment": recipe.name, "iteration": iteration}
    publish(lake, CURATED, curated, slice=slice, iteration=iteration, min_rows=config.min_rows)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")
