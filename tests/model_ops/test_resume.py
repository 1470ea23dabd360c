"""A training that was killed continues from its last checkpoint to exactly the model of an undisturbed one."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from jobs.recipe.config import Finetune
from model_ops.train import Training, main, run
from model_ops.training import resume
from model_ops.training.checkpoints import read_manifest
from model_ops.training.completion_trainer import CompletionTrainer
from model_ops.training.resume import KEPT, Checkpoints
from model_ops.training.settings import TrainingError, TrainingSettings
from tests.model_ops.killing import Killed
from tests.model_ops.test_train import command
from tests.tiny_dataset import DATASET, rows, write_table

pytestmark = pytest.mark.model

# Ten examples in batches of four: three steps an epoch, the third smaller; seven and a half steps, so eight in all.
SETTINGS = Finetune(
    method="lora", learning_rate=1e-2, final_learning_rate=1e-3, dropout=0.1, small_batch_size=4, micro_batch_size=2,
    gradient_checkpointing="none", epochs=2.5, max_length=256, lora_rank=4, lora_alpha=8, dtype="float32",
    checkpoint_steps=1,
).settings("forward", 0)  # fmt: skip
N_STEPS = 8
ROOT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, tuple[int, str]]:
    return write_table(tmp_path_factory.mktemp("lake"), rows(n_train=10))


@pytest.fixture(scope="module")
def undisturbed(tiny: Path, table: Any, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A training that nothing interrupted."""
    training = training_of(tiny, table, tmp_path_factory.mktemp("undisturbed"))
    run(training)
    return training


@pytest.fixture
def training(tiny: Path, table: Any, tmp_path: Path) -> Training:
    return training_of(tiny, table, tmp_path)


def training_of(tiny: Path, table: Any, folder: Path) -> Training:
    path, (n_rows, digest) = table
    return Training(
        table=path, version=0, dataset=DATASET, expect_rows=n_rows, expect_digest=digest, base_model=tiny,
        settings=TrainingSettings(**SETTINGS), config_digest="d" * 16, out=folder / "models" / "forward-0",
    )  # fmt: skip


def with_settings(training: Training, **changes: Any) -> Training:
    return replace(training, settings=training.settings.model_copy(update=changes))


def checkpoints(training: Training) -> list[str]:
    """The names of the folder beside the model's."""
    folder = training.checkpoints({}).folder
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def losses(caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """Map each step to the loss and learning rate that were logged for it."""
    return dict(re.findall(r"step=(\d+)/\d+ (loss=\S+ learning_rate=\S+)", caplog.text))


def same_model(training: Training, undisturbed: Training) -> bool:
    """Return whether two trainings made the same files and measured the same losses."""
    ours, theirs = read_manifest(training.out), read_manifest(undisturbed.out)
    measured = ("train_loss", "dev_loss", "dev_loss_before", "tokens", "steps")
    return ours.files == theirs.files and all(ours.metrics[name] == theirs.metrics[name] for name in measured)


@pytest.mark.parametrize("step", [2, 3, 4, 6, N_STEPS])
def test_a_killed_training_continues_to_the_same_model(
    step: int, training: Training, undisturbed: Training, kill: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed in the first epoch, at its last step, at the first of the next, in a later one, and at the last of all."""
    kill(step)
    with pytest.raises(Killed), caplog.at_level("INFO", logger="model_ops"):
        run(training)
    assert checkpoints(training) == [f"checkpoint-{n}" for n in range(max(1, step - KEPT), step)]
    assert not training.out.exists()
    kill(None)
    with caplog.at_level("INFO", logger="model_ops"):
        run(training)
    assert f"continuing from checkpoint-{step - 1} at step {step - 1} of {N_STEPS}" in caplog.text
    assert same_model(training, undisturbed)
    assert sorted(losses(caplog), key=int) == [str(n + 1) for n in range(N_STEPS)]
    assert [p.name for p in training.out.parent.iterdir()] == [training.out.name]


def test_steps_after_the_last_checkpoint_are_done_again_alike(
    training: Training, undisturbed: Training, kill: Any, caplog: pytest.LogCaptureFixture
) -> None:
    training = with_settings(training, checkpoint_steps=3)
    for step in (3, 6, 8):
        kill(step)
        with pytest.raises(Killed), caplog.at_level("INFO", logger="model_ops"):
            run(training)
    kill(None)
    run(training)
    assert re.findall(r"continuing from checkpoint-(\d)", caplog.text) == ["3"]
    assert same_model(training, undisturbed)


def test_a_full_finetune_continues_too(training: Training, undisturbed: Training, kill: Any) -> None:
    whole = with_settings(training, method="full", epochs=1.0)
    run(replace(whole, out=whole.out.with_name("undisturbed")))
    kill(3)
    with pytest.raises(Killed):
        run(whole)
    kill(None)
    run(whole)
    assert same_model(whole, replace(whole, out=whole.out.with_name("undisturbed")))


KILLED = """
import os, signal, sys
from model_ops.training import completion_trainer, resume
from model_ops.train import main

where, after = sys.argv.pop(1), int(sys.argv.pop(1))

def killing(call):
    def killed(*given, **named):
        global after
        after -= 1
        if after < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **named)
    return killed

if where == "step":
    completion_trainer.CompletionTrainer._run_pass = killing(completion_trainer.CompletionTrainer._run_pass)
elif where == "written":
    resume.Checkpoints.complete = killing(resume.Checkpoints.complete)
else:
    resume.os.replace = killing(resume.os.replace)
sys.exit(main())
"""


@pytest.mark.parametrize(("where", "after", "step"), [("step", 8, 4), ("written", 2, 2), ("renamed", 4, 4)])
def test_sigkill_in_a_step_or_in_the_writing_of_a_checkpoint(
    where: str, after: int, step: int, training: Training, undisturbed: Training, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (tmp_path / "killed.py").write_text(KILLED)
    words = [sys.executable, str(tmp_path / "killed.py"), where, str(after), *command(training)]
    done = subprocess.run(words, env=os.environ | {"PYTHONPATH": ROOT}, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with caplog.at_level("INFO", logger="model_ops"):
        run(training)
    assert f"continuing from checkpoint-{step} at step {step} of {N_STEPS}" in caplog.text
    assert same_model(training, undisturbed)
    assert [p.name for p in training.out.parent.iterdir()] == [training.out.name]


def test_two_processes_continue_to_the_same_model(training: Training, tmp_path: Path) -> None:
    """Each process has its own dropout; both are killed in the same step."""
    (tmp_path / "killed.py").write_text(KILLED)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT}

    def launched(training: Training, *words: str) -> subprocess.CompletedProcess[str]:
        given = [*launch, *words, *command(training)]
        return subprocess.run(given, env=environment, capture_output=True, text=True, check=False, timeout=300)

    undisturbed = replace(training, out=training.out.with_name("undisturbed"))
    assert launched(undisturbed, "-m", "model_ops.train").returncode == 0
    assert launched(training, str(tmp_path / "killed.py"), "step", "4").returncode != 0
    assert "checkpoint-4" in checkpoints(training)
    continued = launched(training, "-m", "model_ops.train")
    assert "continuing from checkpoint-4 at step 4" in continued.stderr
    assert same_model(training, undisturbed)


def interrupted(training: Training, kill: Any, step: int = 5) -> Path:
    """Kill a training at a step, and return the folder of its checkpoints."""
    kill(step)
    with pytest.raises(Killed):
        run(training)
    kill(None)
    return training.checkpoints({}).folder


@pytest.mark.parametrize(
    ("file", "damage"), [("optimizer.pt", "has 100 of"), ("scheduler.pt", "is missing"), ("facts.json", "facts.json: ")]
)
def test_a_damaged_checkpoint_is_passed_over(
    file: str, damage: str, training: Training, undisturbed: Training, kill: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broken = interrupted(training, kill) / "checkpoint-4" / file
    if file == "scheduler.pt":
        broken.unlink()
    else:
        os.truncate(broken, 100)
    with caplog.at_level("INFO", logger="model_ops"):
        run(training)
    assert re.search(rf"checkpoint \S+checkpoint-4 is damaged and is not used: .*{damage}", caplog.text)
    assert "continuing from checkpoint-3 at step 3" in caplog.text
    assert same_model(training, undisturbed)


def test_a_checkpoint_of_another_training_is_refused(
    training: Training, kill: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = interrupted(training, kill)
    facts = folder / "checkpoint-4" / "facts.json"
    content = json.loads(facts.read_text())
    content["inputs"]["base_digest"] = "0" * 64
    facts.write_text(json.dumps(content))
    assert main(command(training)) == 1
    assert f"checkpoint-4 is of another training: base_digest differ; remove {folder}" in capsys.readouterr().err
    assert facts.exists()


def test_a_divergence_keeps_the_checkpoint_before(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    token_losses = CompletionTrainer._loss

    def diverging(trainer: Any, *outputs: Any, **more: Any) -> Any:
        loss = token_losses(trainer, *outputs, **more)
        return loss * float("nan") if trainer.state.global_step == 4 else loss

    monkeypatch.setattr(CompletionTrainer, "_loss", diverging)
    with pytest.raises(TrainingError, match="diverged at step 5 of 8: the gradient is NaN or infinite"):
        run(training)
    assert checkpoints(training) == ["checkpoint-3", "checkpoint-4"]


def test_minutes_between_checkpoints_are_counted(
    training: Training, kill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = with_settings(training, checkpoint_steps=0, checkpoint_minutes=1e-9)
    interrupted(timed, kill, step=3)
    assert checkpoints(timed) == ["checkpoint-1", "checkpoint-2"]
    never = replace(with_settings(training, checkpoint_steps=0, checkpoint_minutes=0), out=training.out.with_name("b"))
    interrupted(never, kill, step=3)
    assert checkpoints(never) == []


def test_checkpoints_that_a_finished_training_left_are_removed(undisturbed: Training) -> None:
    left = undisturbed.checkpoints({}).folder / "checkpoint-7"
    left.mkdir(parents=True)
    run(undisturbed)
    assert not left.parent.exists()


def test_a_checkpoint_has_no_pickle_of_arguments(training: Training, kill: Any) -> None:
    folder = interrupted(training, kill) / "checkpoint-4"
    assert {f.name for f in folder.iterdir()} == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "facts.json", "optimizer.pt", "scheduler.pt",
        "trainer_state.json",
    }  # fmt: skip


def test_newest_of_a_folder_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert Checkpoints(tmp_path / "none", {}).newest() is None
    assert not caplog.text
    assert resume.KEPT >= 2
