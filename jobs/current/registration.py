"""Registration of a trained model, after a check against the current release and recipe, and of a base model."""

import re
from pathlib import Path
from typing import get_args

from jobs.current.models import base_model, training_release
from jobs.current.notes import BASE
from jobs.errors import JobError
from jobs.lake.writing import RunLake
from jobs.recipe.config import Direction, Recipe
from jobs.recipe.digests import base_digests, training_digests
from jobs.recipe.evaluation import CHAT_API, OutsideModel
from jobs.recipe.section import digest
from model_ops.serving.model import Model
from model_ops.training.checkpoints import Manifest, check_trained_model
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import BASE_MODELS, MODELS, OUTSIDE_MODELS


def register(lake: RunLake, recipe: Recipe, folder: Path) -> None:
    """Check a trained model against the release that it should have read, and add it to `ops.models`.

    Raises:
        JobError: the model was trained on other rows, from another base model or with other settings than the
            recipe asks for now.
        ModelFolderError: the folder is incomplete or was changed, or its weights are not finite.
    """
    manifest = check_trained_model(folder)
    direction, iteration = _direction_and_iteration(recipe, folder, manifest)
    release = training_release(lake, recipe, direction, iteration)
    expected = {
        "content_digest": (release.content_digest,),
        "n_rows": (release.n_rows,),
        "base_digest": base_digests(recipe.base_model),
        "config_digest": training_digests(recipe, direction, iteration),
    }
    faults = [
        f"{field} {getattr(manifest, field)}, expected {values[0]}"
        for field, values in expected.items()
        if getattr(manifest, field) not in values
    ]
    if faults:
        raise JobError(f"{folder}: does not match the recipe and the current release: {'; '.join(faults)}; train again")
    lake.versions_read[TRAINING_EXAMPLES.name] = release.version
    lake.run.n_tokens += int(manifest.metrics.get("tokens", 0))
    row = {
        "model_id": f"{direction}-{iteration}-{_short_digest(manifest)}",
        "experiment": recipe.name,
        "direction": direction,
        "iteration": iteration,
        "base_model": manifest.base_model,
        "path": str(folder.resolve()),
        "digest": manifest.digest,
        "dataset": manifest.dataset,
        "table_version": manifest.table_version,
        "n_examples": manifest.n_examples,
        "content_digest": manifest.content_digest,
        "config_digest": manifest.config_digest,
        "metrics": {name: float(value) for name, value in manifest.metrics.items()},
        "run_id": lake.run.run_id,
    }
    lake.methods_read[f"{direction}-{iteration}"] = str(row["model_id"])
    lake.insert(MODELS, [row])


def register_base(lake: RunLake, recipe: Recipe) -> Model:
    """Return the base model, after adding it to `ops.base_models` if it is not there."""
    model = base_model(recipe)
    lake.methods_read[BASE] = model.model_id
    if model.model_id not in {row.model_id for row in lake.collected(BASE_MODELS)}:
        row = {"model_id": model.model_id, "path": model.path, "digest": model.digest, "run_id": lake.run.run_id}
        lake.insert(BASE_MODELS, [row])
    return model


def register_outside(lake: RunLake, outside: OutsideModel) -> Model:
    """Return a model behind an API, after adding it to `ops.outside_models` if it is not there."""
    model = Model(outside.model_id, "", outside.model_digest, "")
    if model.model_id not in {row.model_id for row in lake.collected(OUTSIDE_MODELS)}:
        row = {"model_id": model.model_id, "served_name": outside.model, "api": CHAT_API, "digest": model.digest}
        lake.insert(OUTSIDE_MODELS, [row | {"logprobs": outside.logprobs, "run_id": lake.run.run_id}])
    return model


def _direction_and_iteration(recipe: Recipe, folder: Path, manifest: Manifest) -> tuple[Direction, int]:
    """Parse the direction and the iteration from the name of a model's training set."""
    for direction in get_args(Direction):
        if match := re.fullmatch(rf"{re.escape(recipe.name)}/{direction}-(\d+)", manifest.dataset):
            return direction, int(match[1])
    raise JobError(
        f"{folder}: trained on {manifest.dataset}, which is no training set of experiment {recipe.name}; name "
        "that experiment's recipe"
    )


def _short_digest(manifest: Manifest) -> str:
    """Return a short digest of a training; it differs between experiments and settings even for equal weights."""
    return digest([manifest.digest, manifest.dataset, manifest.content_digest, manifest.config_digest])[:6]
