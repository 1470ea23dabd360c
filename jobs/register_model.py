"""Register a model that was trained here or elsewhere, once its files and manifest are found in order.

humpback register-model DIR --recipe FILE --lake URI
"""

import re
from pathlib import Path

from jobs.current.models import config_digest, training_release
from jobs.errors import JobError
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.section import digest
from model_ops.training.checkpoints import Manifest, check_trained_model
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import MODELS

READS = ()
WRITES = MODELS
UNIT = "models"


def run(lake: Lake, recipe: Recipe) -> None:
    """Register the model in the folder named on the command line."""
    if not lake.run.argument:
        raise JobError("register-model: which folder? say humpback register-model DIR")
    register(lake, recipe, Path(lake.run.argument))


def register(lake: Lake, recipe: Recipe, folder: Path) -> None:
    """Check what came back from training against the release it should have read, and note it in `ops.models`.

    Raises:
        JobError: it was trained on other rows, or with other settings, than the recipe asks for now.
        ModelFolderError: the folder is incomplete or was changed.
    """
    manifest = check_trained_model(folder)
    named = re.fullmatch(rf"{re.escape(recipe.name)}/(backward|forward)-(\d+)", manifest.dataset)
    if not named:
        raise JobError(f"{folder}: trained on {manifest.dataset}, which is no data set of experiment {recipe.name}")
    direction, iteration = named[1], int(named[2])
    release = training_release(lake, direction, iteration)  # type: ignore[arg-type]
    wanted = {
        "content_digest": release.content_digest,
        "n_rows": release.n_rows,
        "config_digest": config_digest(recipe, direction, iteration),  # type: ignore[arg-type]
    }
    faults = [f"{k} {getattr(manifest, k)}, now {v}" for k, v in wanted.items() if getattr(manifest, k) != v]
    if faults:
        raise JobError(
            f"{folder}: not what the recipe and the current release ask for: {'; '.join(faults)}; train again"
        )
    lake.run.inputs[TRAINING_EXAMPLES.name] = release.version
    lake.run.n_tokens += int(manifest.metrics.get("tokens", 0))
    lake.insert(
        MODELS,
        [
            {
                "model_id": f"{direction}-{iteration}-{_identity(manifest)}",
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
                "metrics": {k: float(v) for k, v in manifest.metrics.items()},
                "run_id": lake.run.run_id,
            }
        ],
    )


def _identity(manifest: Manifest) -> str:
    """Trainings of two experiments, or with a setting without effect, are two models, though of the same weights."""
    return digest([manifest.digest, manifest.dataset, manifest.content_digest, manifest.config_digest])[:6]
