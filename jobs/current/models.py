"""Which trained model stands for a direction and an iteration of an experiment."""

from pathlib import Path

from jobs.current.notes import model_name
from jobs.errors import JobError, RecipeError
from jobs.lake.publish import Release, newest_release
from jobs.lake.tables import Lake
from jobs.recipe.config import Direction, Recipe
from jobs.recipe.digests import training_digests
from model_ops.serving.model import Model
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import MODELS


def dataset_name(experiment: str, direction: str, iteration: int) -> str:
    """The name of a training set in `gold.training_examples`."""
    return f"{experiment}/{direction}-{iteration}"


def training_release(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Release:
    """The newest published training set of a model.

    Raises:
        JobError: none has been published yet.
    """
    dataset = dataset_name(recipe.name, direction, iteration)
    release = newest_release(lake, TRAINING_EXAMPLES, {"dataset": dataset})
    if release is None:
        raise JobError(
            f"gold.training_examples: no release of {dataset}; run `humpback build-training-examples "
            f"--direction {direction} --iteration {iteration}` first"
        )
    return release


def trained_model(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Model | None:
    """The registered model trained on the newest release with the recipe's settings, if there is one.

    Raises:
        JobError: its training set has not been published yet.
    """
    release = training_release(lake, recipe, direction, iteration)
    wanted = (recipe.name, direction, iteration, release.content_digest)
    configs = training_digests(recipe, direction, iteration)
    for row in sorted(lake.collected(MODELS), key=lambda row: row.model_id):
        found = (row.experiment, row.direction, row.iteration, row.content_digest)
        if found == wanted and row.config_digest in configs:
            lake.methods_read[model_name(direction, iteration)] = row.model_id
            return Model(row.model_id, _found(lake, recipe, row.path), row.digest, recipe.base_model)
    return None


def model_if_trained(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Model | None:
    """The same, and None also where its training set has not been published yet: for the dry run."""
    dataset = {"dataset": dataset_name(recipe.name, direction, iteration)}
    if newest_release(lake, TRAINING_EXAMPLES, dataset) is None:
        return None
    return trained_model(lake, recipe, direction, iteration)


def named_model(lake: Lake, model_id: str) -> Model:
    """A registered model of any experiment.

    Raises:
        RecipeError: there is none of that name.
    """
    row = next((row for row in lake.collected(MODELS) if row.model_id == model_id), None)
    if row is None:
        raise RecipeError(
            f"judge_answers.judge: {model_id} is not in ops.models; `humpback sql` lists the model_ids there"
        )
    return Model(row.model_id, row.path, row.digest, row.base_model)


def models_root(lake: Lake, recipe: Recipe) -> Path:
    """The folder of all trained models."""
    return Path(recipe.models_dir) if recipe.models_dir else lake.folder("models")


def _found(lake: Lake, recipe: Recipe, path: str) -> str:
    """Where a model lies that lay at `path` when it was registered: a lake may have been moved, and models with it."""
    registered = Path(path)
    here = models_root(lake, recipe) / registered.parent.name / registered.name
    return str(here.resolve()) if here.is_dir() and not registered.is_dir() else path


def required_model(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Model:
    """The trained model, or a JobError that says how to train it."""
    model = trained_model(lake, recipe, direction, iteration)
    if model is None:
        raise JobError(
            f"ops.models: no {direction} model of iteration {iteration} trained on the current release with the "
            f"current settings; run `humpback finetune --direction {direction} --iteration {iteration}` first"
        )
    return model
