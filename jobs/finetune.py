"""Finetune one model from the base model on its published training set, and register it.

humpback finetune --direction backward --iteration 0 --recipe FILE --lake URI
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from jobs.current.models import dataset_name, model_if_trained, models_root, trained_model, training_release
from jobs.current.registration import register
from jobs.errors import JobError, WaitingError
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import training_digest
from jobs.recipe.step import Parameters, Planned, Step
from model_ops.serving.vllm_server import end_with_parent
from model_ops.training.checkpoints import MANIFEST
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import MODELS, RELEASES

READS = (TRAINING_EXAMPLES, RELEASES)
WRITES = MODELS
UNIT = "models"
PARAMETERS = Parameters(first_iteration=0, has_direction=True)

# glibc returns large tensors to the system at once and requests them again, which takes 10 % of the time on a CPU.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Train and register the model, unless the same training is registered already."""
    direction, iteration = step.required_direction, step.required_iteration
    if trained_model(lake, recipe, direction, iteration):
        return
    out = model_folder(lake, recipe, step)
    if not (out / MANIFEST).is_file():
        command = training_command(lake, recipe, step, out)
        if recipe.finetune.launcher == "external":
            raise WaitingError(
                f"{direction}-{iteration} waits for its training; on a machine that sees the lake and the base model, "
                f"run: {by_hand(command, recipe)} ; then copy {out} here and run the same humpback command "
                f"again (or humpback register-model {out})"
            )
        step.required_servers.stop()  # training needs the whole machine
        process = subprocess.run(command, env=os.environ | ALLOCATOR, preexec_fn=end_with_parent, check=False)
        if process.returncode:
            raise JobError(
                f"training of {direction}-{iteration} failed; see its message above; command: {shlex.join(command)}"
            )
    register(lake, recipe, out)


def by_hand(command: list[str], recipe: Recipe) -> str:
    """Return the trainer's command line for a person to run; N stands for the number of GPUs that share the weights."""
    start = ["python"] if recipe.finetune.sharding == "none" else ["accelerate", "launch", "--num_processes", "N"]
    return shlex.join([*start, *command[1:]])


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Plan one training, unless the model is registered."""
    model = model_if_trained(lake, recipe, step.required_direction, step.required_iteration)
    would_do = f"nothing: {model.model_id} is there" if model else f"train the {step.direction} model"
    return Planned(would_do, int(not model))


def model_folder(lake: Lake, recipe: Recipe, step: Step) -> Path:
    """Return the model's folder, named after everything that its training depends on."""
    direction, iteration = step.required_direction, step.required_iteration
    release = training_release(lake, recipe, direction, iteration)
    inputs = f"{release.content_digest[:8]}-{training_digest(recipe, direction, iteration)[:8]}"
    return models_root(lake, recipe) / recipe.name / f"{direction}-{iteration}-{inputs}"


def training_command(lake: Lake, recipe: Recipe, step: Step, out: Path) -> list[str]:
    """Return the command line of the trainer, which runs as a separate process without Spark."""
    direction, iteration = step.required_direction, step.required_iteration
    release = training_release(lake, recipe, direction, iteration)
    options = {
        "table": lake.path(TRAINING_EXAMPLES),
        "version": str(release.version),
        "dataset": dataset_name(recipe.name, direction, iteration),
        "expect-rows": str(release.n_rows),
        "expect-digest": release.content_digest,
        "base-model": recipe.base_model,
        "config-digest": training_digest(recipe, direction, iteration),
        "settings": json.dumps(recipe.finetune.settings(direction, iteration)),
        "out": str(out),
    }
    arguments = [word for option, value in options.items() for word in (f"--{option}", value)]
    return [sys.executable, "-m", "model_ops.train", *arguments]
