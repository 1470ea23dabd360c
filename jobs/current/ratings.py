"""The models that rate in an iteration, and the scores that count."""

from collections.abc import Iterable, Mapping

from pyspark.sql import DataFrame

from jobs.current.methods import Methods
from jobs.current.models import model_if_trained, required_model
from jobs.current.notes import scorer_method
from jobs.lake.tables import Lake
from jobs.recipe.config import Direction, Recipe
from model_ops.serving.model import Model
from schemas.table import Table
from transforms.scoring.scorers import SCORERS
from transforms.scoring.scores import made_by

Judges = Mapping[Direction, Model]
"""Direction -> the model that is asked for ratings; in the dry run a direction may be missing."""


def judges(lake: Lake, recipe: Recipe, iteration: int) -> Judges:
    """Return the models that rate: the forward one of `iteration`, and M_yx for the backward scorers."""
    return {
        "forward": required_model(lake, recipe, "forward", iteration),
        "backward": required_model(lake, recipe, "backward", 0),
    }


def trained_judges(lake: Lake, recipe: Recipe, iteration: int) -> Judges:
    """Return the models of `judges` that are trained already."""
    iterations: dict[Direction, int] = {"forward": iteration, "backward": 0}
    models = {direction: model_if_trained(lake, recipe, direction, t) for direction, t in iterations.items()}
    return {direction: model for direction, model in models.items() if model}


def counting(methods: Methods, models: Judges, scorers: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Map each scorer to the model id and the method digest of its scores that count."""
    return {name: (models[SCORERS[name].direction].model_id, methods[scorer_method(name)]) for name in scorers}


def scores(lake: Lake, table: Table, methods: Methods, models: Judges, scorers: Iterable[str]) -> DataFrame:
    """Return a score table's rows by these models and scorers and the methods that count; record the methods."""
    current = counting(methods, models, scorers)
    lake.methods_read.update({scorer_method(name): digest for name, (_, digest) in current.items()})
    return made_by(lake.read(table), current)
