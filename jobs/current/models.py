"""Lookup of the trained model for a direction and an iteration of an experiment, and of its base model."""

from pathlib import Path

from jobs.current.notes import BASE, model_name
from jobs.errors import JobError, RecipeError
from jobs.lake.publish import Release, newest_release
from jobs.lake.tables import Lake
from jobs.recipe.config import Direction, Recipe
from jobs.recipe.digests import base_digests, training_digests
from jobs.recipe.rewriting import FORWARD_MODEL
from model_ops.serving.model import Model
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import MODELS

JUDGE, REWRITER = "evaluation.judge", "rewrite_responses.rewriter"
"""The recipe's keys that name models."""


def dataset_name(experiment: str, direction: str, iteration: int) -> str:
    """Return the name of a training set in `gold.training_examples`."""
    return f"{experiment}/{direction}-{iteration}"


def training_release(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Release:
    """Return the newest published training set of a model.

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
    """Return the registered model trained on the newest release with the recipe's settings, if there is one.

    Raises:
        JobError: its training set has not been published yet.
    """
    release = training_release(lake, recipe, direction, iteration)
    expected = (recipe.name, direction, iteration, release.content_digest)
    configs = training_digests(recipe, direction, iteration)
    for row in sorted(lake.collected(MODELS), key=lambda row: row.model_id):
        actual = (row.experiment, row.direction, row.iteration, row.content_digest)
        if actual == expected and row.config_digest in configs:
            lake.methods_read[model_name(direction, iteration)] = row.model_id
            return Model(row.model_id, _current_path(lake, recipe, row.path), row.digest, recipe.base_model)
    return None


def model_if_trained(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Model | None:
    """Return the trained model, or None also if its training set has not been published; for the dry run."""
    dataset = {"dataset": dataset_name(recipe.name, direction, iteration)}
    if newest_release(lake, TRAINING_EXAMPLES, dataset) is None:
        return None
    return trained_model(lake, recipe, direction, iteration)


def named_model(lake: Lake, model_id: str, key: str) -> Model:
    """Return the registered model of any experiment that the recipe names under `key`.

    Raises:
        RecipeError: no model has that id.
    """
    row = next((row for row in lake.collected(MODELS) if row.model_id == model_id), None)
    if row is None:
        raise RecipeError(
            f"{key}: {model_id} is neither in outside_models nor in ops.models; `humpback sql` lists the "
            "model_ids there"
        )
    return Model(row.model_id, row.path, row.digest, row.base_model)


def require_named(lake: Lake, recipe: Recipe) -> None:
    """Check, before any work is done, that every model that the recipe names is known.

    Raises:
        RecipeError: a judge or the rewriter is neither in `outside_models` nor in `ops.models`.
    """
    rewriter = recipe.rewrite_responses.rewriter
    named = [(JUDGE, entry.judge) for entry in recipe.evaluation]
    named.append((REWRITER, None if rewriter == FORWARD_MODEL else rewriter))
    for key, name in named:
        if name and name not in recipe.outside_models:
            named_model(lake, name, key)


def base_model(recipe: Recipe) -> Model:
    """Return the base model itself, which is asked like the models trained from it, in the same chat format."""
    digest = base_digests(recipe.base_model)[0]
    return Model(f"{BASE}-{digest[:6]}", str(Path(recipe.base_model).resolve()), digest, recipe.base_model)


def models_root(lake: Lake, recipe: Recipe) -> Path:
    """Return the folder of all trained models."""
    return Path(recipe.models_dir) if recipe.models_dir else lake.folder("models")


def _current_path(lake: Lake, recipe: Recipe, path: str) -> str:
    """Return the folder of a model that was registered at `path`; a lake may have been moved with its models."""
    registered = Path(path)
    moved = models_root(lake, recipe) / registered.parent.name / registered.name
    return str(moved.resolve()) if moved.is_dir() and not registered.is_dir() else path


def required_model(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Model:
    """Return the trained model; raise a JobError that says how to train it if there is none."""
    model = trained_model(lake, recipe, direction, iteration)
    if model is None:
        raise JobError(
            f"ops.models: no {direction} model of iteration {iteration} trained on the current release with the "
            f"current settings; run `humpback finetune --direction {direction} --iteration {iteration}` first"
        )
    return model
