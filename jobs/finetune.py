"""Finetune one model from the base model on its published training set, and register it.

humpback finetune --direction backward --iteration 0 --recipe FILE --lake URI
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from jobs.current.models import config_digest, dataset_name, models_root, trained_model, training_release
from jobs.errors import JobError, WaitingError
from jobs.inference import serving
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.register_model import register
from model_ops.serving.vllm_server import end_with_parent
from model_ops.training.checkpoints import MANIFEST
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import MODELS

READS = (TRAINING_EXAMPLES,)
WRITES = MODELS
UNIT = "models"

# glibc gives large tensors back to the system at once and asks for them again: 10 % of the time on a CPU.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}


def run(lake: Lake, recipe: Recipe) -> None:
    """Train and register the model, unless the same training has been done before."""
    direction, iteration = lake.run.needed_direction, lake.run.needed_iteration
    if trained_model(lake, recipe, direction, iteration):
        return
    out = model_folder(lake, recipe)
    if not (out / MANIFEST).is_file():
        command = training_command(lake, recipe, out)
        if recipe.finetune.launcher == "external":
            raise WaitingError(
                f"{direction}-{iteration} waits for its training; on a machine that sees the lake and the base model, "
                f"run: {shlex.join(['python', *command[1:]])} ; then copy {out} here and run the same humpback command "
                f"again (or humpback register-model {out})"
            )
        serving.stop()  # training needs the whole machine
        done = subprocess.run(command, env=os.environ | ALLOCATOR, preexec_fn=end_with_parent, check=False)
        if done.returncode:
            raise JobError(
                f"training of {direction}-{iteration} failed; see its message above; command: {shlex.join(command)}"
            )
    register(lake, recipe, out)


def model_folder(lake: Lake, recipe: Recipe) -> Path:
    """Where the model goes: named after everything that its training depends on."""
    direction, iteration = lake.run.needed_direction, lake.run.needed_iteration
    release = training_release(lake, direction, iteration)
    inputs = f"{release.content_digest[:8]}-{config_digest(recipe, direction, iteration)[:8]}"
    return models_root(lake, recipe) / recipe.name / f"{direction}-{iteration}-{inputs}"


def training_command(lake: Lake, recipe: Recipe, out: Path) -> list[str]:
    """The trainer's command line: a process of its own, without Spark."""
    direction, iteration = lake.run.needed_direction, lake.run.needed_iteration
    release = training_release(lake, direction, iteration)
    return [
        sys.executable, "-m", "model_ops.train",
        "--table", lake.path(TRAINING_EXAMPLES),
        "--version", str(release.version),
        "--dataset", dataset_name(recipe.name, direction, iteration),
        "--expect-rows", str(release.n_rows),
        "--expect-digest", release.content_digest,
        "--base-model", recipe.base_model,
        "--config-digest", config_digest(recipe, direction, iteration),
        "--settings", json.dumps(recipe.finetune.settings(direction, iteration)),
        "--out", str(out),
    ]  # fmt: skip
