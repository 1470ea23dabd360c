"""Check the files and the manifest of a trained model, and register it.

humpback register-model DIR --recipe FILE --lake URI
"""

from pathlib import Path

from jobs.current.registration import register
from jobs.errors import JobError
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import MODELS, RELEASES

READS = (TRAINING_EXAMPLES, RELEASES)
WRITES = MODELS
UNIT = "models"
PARAMETERS = Parameters(argument=("DIR", "the trained model's folder"))


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Register the model in the folder named on the command line."""
    if not step.argument:
        raise JobError("register-model: no folder is given; run humpback register-model DIR")
    register(lake, recipe, Path(step.argument))


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Plan the registration of one folder."""
    return Planned("register a trained model", 1)
