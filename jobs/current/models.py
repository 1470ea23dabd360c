"""Which trained model stands for a direction and an iteration of an experiment."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs.errors import JobError
from jobs.lake.publish import Release, newest_release
from jobs.lake.tables import Lake
from jobs.recipe.config import Direction, Recipe
from jobs.recipe.section import digest
from model_ops.training.checkpoints import check_model_folder, folder_digest
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import MODELS


@dataclass(frozen=True)
class Model:
    """A model that can be served: its immutable name, its folder and the digest of its files."""

    model_id: str
    path: str
    digest: str
    base_model: str
    """The folder that it was finetuned from."""


def dataset_name(experiment: str, direction: str, iteration: int) -> str:
    """The name of a training set in `gold.training_examples`."""
    return f"{experiment}/{direction}-{iteration}"


def training_release(lake: Lake, direction: Direction, iteration: int) -> Release:
    """The newest published training set of a model.

    Raises:
        JobError: none has been published yet.
    """
    dataset = dataset_name(lake.run.experiment, direction, iteration)
    release = newest_release(lake, TRAINING_EXAMPLES, {"dataset": dataset})
    if release is None:
        raise JobError(
            f"gold.training_examples: no release of {dataset}; run `humpback build-training-examples "
            f"--direction {direction} --iteration {iteration}` first"
        )
    return release


def config_digest(recipe: Recipe, direction: Direction, iteration: int) -> str:
    """Names what a model's training depends on beside its rows: settings and the base model's files."""
    settings = recipe.finetune.settings(direction, iteration)
    del settings["micro_batch_size"], settings["gradient_checkpointing"]  # how it is run, not what comes out
    return digest([settings, base_digest(recipe.base_model)])


@cache
def base_digest(base_model: str) -> str:
    """The digest of the base model's files; checks that the folder holds a model."""
    check_model_folder(Path(base_model))
    return folder_digest(Path(base_model))


def trained_model(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Model | None:
    """The registered model trained on the newest release with the recipe's settings, if there is one."""
    release = training_release(lake, direction, iteration)
    wanted = (recipe.name, direction, iteration, release.content_digest, config_digest(recipe, direction, iteration))
    for row in sorted(lake.collected(MODELS), key=lambda row: row.model_id):
        if (row.experiment, row.direction, row.iteration, row.content_digest, row.config_digest) == wanted:
            return Model(row.model_id, _found(lake, recipe, row.path), row.digest, recipe.base_model)
    return None


def models_root(lake: Lake, recipe: Recipe) -> Path:
    """The folder of all trained models."""
    return Path(recipe.models_dir) if recipe.models_dir else lake.folder("models")


def _found(lake: Lake, recipe: Recipe, path: str) -> str:
    """Where a model lies that lay at `path` when it was registered: a lake may have been moved, and models with it."""
    registered = Path(path)
    here = models_root(lake, recipe) / registered.parent.name / registered.name
    return str(here.resolve()) if here.is_dir() and not registered.is_dir() else path


def the_model(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Model:
    """The trained model, or a JobError that says how to train it."""
    model = trained_model(lake, recipe, direction, iteration)
    if model is None:
        raise JobError(
            f"ops.models: no {direction} model of iteration {iteration} trained on the current release with the "
            f"current settings; run `humpback finetune --direction {direction} --iteration {iteration}` first"
        )
    return model
