"""Losses and weights of trainings that SIGKILL ends at random points and that continue, against an undisturbed one.

python -m benchmarks.resume

Each training is of a tiny model on this machine's CPU, with dropout and a checkpoint after every step. The points are
forward passes, and the moments in which a checkpoint is complete but not yet published.
"""

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import results
from model_ops.train import Training, run
from model_ops.training.checkpoints import read_manifest
from model_ops.training.settings import TrainingSettings
from tests.tiny_dataset import DATASET, rows, write_table
from tests.tiny_model import save_model

SETTINGS = TrainingSettings(
    method="lora",
    learning_rate=1e-2,
    final_learning_rate=1e-3,
    small_batch_size=4,
    micro_batch_size=1,
    epochs=4,
    max_length=256,
    dtype="float32",
    checkpoint_steps=1,
)
N_EXAMPLES = 18


def prepare(folder: Path) -> None:
    """Write the base model and the data set."""
    save_model(folder / "base")
    table, (n_rows, digest) = write_table(folder / "lake", rows(n_train=N_EXAMPLES))
    (folder / "facts").write_text("\n".join([table, str(n_rows), digest]))


def train(folder: Path, name: str, kill_at: int | None) -> None:
    """Run the training `name`; append its losses and the points that it passes to files, and kill it at a point."""
    from model_ops.training.completion_trainer import CompletionTrainer
    from model_ops.training.resume import Checkpoints

    points, curve = folder / f"{name}.points", folder / f"{name}.curve"
    run_pass, training_step = CompletionTrainer._run_pass, CompletionTrainer.training_step
    complete = Checkpoints.complete
    n_passed = 0

    def passed(point: str) -> None:
        nonlocal n_passed
        append(points, point)
        if n_passed == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        n_passed += 1

    def of_pass(trainer: Any, *given: Any) -> Any:
        passed(f"in step {trainer.state.global_step + 1}, example {', '.join(given[1]['ids'])}")
        return run_pass(trainer, *given)

    def of_step(trainer: Any, *given: Any) -> Any:
        loss = training_step(trainer, *given)
        append(curve, f"{trainer.state.global_step + 1} {float(loss).hex()}")
        return loss

    def of_checkpoint(checkpoints: Any, checkpoint: Path, **facts: Any) -> None:
        complete(checkpoints, checkpoint, **facts)
        passed(f"before {checkpoint.name} is published")

    table, n_rows, digest = (folder / "facts").read_text().splitlines()
    training = Training(table, 0, DATASET, int(n_rows), digest, folder / "base", SETTINGS, "d" * 16, folder / name)
    with (
        patch.object(CompletionTrainer, "_run_pass", of_pass),
        patch.object(CompletionTrainer, "training_step", of_step),
        patch.object(Checkpoints, "complete", of_checkpoint),
    ):
        run(training)


def append(file: Path, line: str) -> None:
    """Append a line, which is kept if the process is killed next."""
    with file.open("a") as stream:
        stream.write(f"{line}\n")


def in_a_process(target: Any, *given: Any) -> int | None:
    """Call a function in a process, and return the process's exit code; a signal's is negative."""
    process = multiprocessing.get_context("forkserver").Process(target=target, args=given)
    process.start()
    process.join()
    return process.exitcode


def is_same(folder: Path, name: str) -> bool:
    """Return whether a training has the undisturbed one's files, and its loss in every step, however often done."""
    curves = [(folder / f"{one}.curve").read_text().splitlines() for one in (name, "undisturbed")]
    manifests = [read_manifest(folder / one) for one in (name, "undisturbed")]
    return {*curves[0]} == {*curves[1]} and manifests[0].files == manifests[1].files


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill and continue trainings; return 1 if one of them differs from the undisturbed one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resume", description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="seed of the points")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    multiprocessing.get_context("forkserver").set_forkserver_preload(["model_ops.training.fit"])
    n_same = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for target, given in ((prepare, (folder,)), (train, (folder, "undisturbed", None))):
            if code := in_a_process(target, *given):
                raise RuntimeError(f"{target.__name__} ended with exit code {code}; see its message above")
        points = (folder / "undisturbed.points").read_text().splitlines()
        for number in sorted(random.Random(options.seed).sample(range(len(points)), options.kills)):
            name = f"killed-{number}"
            codes = in_a_process(train, folder, name, number), in_a_process(train, folder, name, None)
            same = codes == (-signal.SIGKILL, 0) and is_same(folder, name)
            n_same += same
            sys.stdout.write(f"killed {points[number]}: {'identical' if same else f'DIFFERS, exit codes {codes}'}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{n_same} of {options.kills} trainings have the losses and weights of the undisturbed one\n")
    if options.record:
        what = f"trainings whose losses and weights are bitwise those of an undisturbed one, of {options.kills} killed"
        results.record(results.command_of("resume", arguments), [results.Found(what, n_same, "trainings")])
    return int(n_same < options.kills)


if __name__ == "__main__":
    sys.exit(main())
