"""Processes that share the weights train the model that one process trains, and their files are the same."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file

from model_ops.train import Training, main, run
from model_ops.training.checkpoints import read_manifest
from tests.model_ops.test_resume import KILLED, same_model, training_of
from tests.model_ops.test_train import command
from tests.tiny_dataset import rows, write_table

pytestmark = pytest.mark.model

ROOT = str(Path(__file__).parents[2])
MEASURED = ("train_loss", "dev_loss_before", "dev_loss", "steps", "tokens")


NOTED = """
import sys
from model_ops.train import main
from model_ops.training.completion_trainer import CompletionTrainer

save = CompletionTrainer._save_optimizer_and_scheduler

def noting(trainer, folder):
    moments = [v for state in trainer.optimizer.state.values() for v in state.values() if v.ndim]
    for name, tensors in (("weights", [*trainer.model.parameters()]), ("moments", moments)):
        held, whole = (sum(map(numel, tensors)) for numel in (lambda t: t.to_local().numel(), lambda t: t.numel()))
        print(f"{name} held: {held / whole:.2f}", file=sys.stderr)
    save(trainer, folder)

CompletionTrainer._save_optimizer_and_scheduler = noting
sys.exit(main())
"""
"""Runs the trainer, and says at each checkpoint which part of the weights and moments the process holds."""


@pytest.fixture
def training(tiny: Path, tmp_path: Path) -> Training:
    """A training with a held-out part that two processes can share."""
    return training_of(tiny, write_table(tmp_path / "lake", rows(10, 2)), tmp_path)


def changed(training: Training, name: str, **changes: Any) -> Training:
    return replace(training, settings=training.settings.model_copy(update=changes), out=training.out.with_name(name))


def launched(training: Training, *program: str, n: int = 2) -> subprocess.CompletedProcess[str]:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(n)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT}
    return subprocess.run(
        [*launch, *(program or ("-m", "model_ops.train")), *command(training)], env=environment, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip


def require_alike(training: Training, other: Training, within: float) -> None:
    """Require equal metrics up to rounding, the same files, and weights within a distance."""
    ours, theirs = read_manifest(training.out), read_manifest(other.out)
    for metric in MEASURED:
        assert ours.metrics[metric] == pytest.approx(theirs.metrics[metric], abs=2e-4), metric
    assert ours.files.keys() == theirs.files.keys()
    assert ours.reference == theirs.reference
    for name in [name for name in ours.files if name.endswith(".safetensors")]:
        one, two = load_file(training.out / name), load_file(other.out / name)
        assert one.keys() == two.keys()
        for key in one:
            assert one[key].dtype == two[key].dtype
            assert torch.allclose(one[key].float(), two[key].float(), atol=within, rtol=0), key


@pytest.mark.parametrize(
    "changes",
    [{"method": "lora"}, {"method": "full", "epochs": 12.0, "learning_rate": 3e-3, "final_learning_rate": 1e-3}],
    ids=["adapters", "all weights"],
)
def test_two_processes_with_half_the_weights_train_as_one(
    training: Training, tmp_path: Path, changes: dict[str, Any]
) -> None:
    (tmp_path / "noted.py").write_text(NOTED)
    alone = changed(training, "alone", **changes, dropout=0.0)
    shared = changed(training, "shared", **changes, dropout=0.0, sharding="full")
    run(alone)
    done = launched(shared, str(tmp_path / "noted.py"))
    assert done.returncode == 0, done.stderr
    assert set(re.findall("(weights|moments) held: (.*)", done.stderr)) == {("weights", "0.50"), ("moments", "0.50")}
    manifest = read_manifest(shared.out)
    assert manifest.n_processes == 2
    assert manifest.reference or changes["method"] == "lora", "adapters of rank 4 have no clear answer to compare"
    require_alike(shared, alone, within=2e-3)


def test_a_killed_training_continues_exactly_and_with_other_processes_too(training: Training, tmp_path: Path) -> None:
    """All weights are trained in packed rows, with half the activations computed again."""
    changes = {"method": "full", "gradient_checkpointing": "selective", "packing": "on", "dropout": 0.0}
    undisturbed = changed(training, "undisturbed", **changes, sharding="full")
    killed = changed(training, "killed", **changes, sharding="full")
    assert launched(undisturbed).returncode == 0
    (tmp_path / "killed.py").write_text(KILLED)
    assert launched(killed, str(tmp_path / "killed.py"), "step", "4").returncode != 0
    alone = changed(training, "alone", **changes)
    shutil.copytree(killed.checkpoints({}).folder, alone.checkpoints({}).folder)
    continued = launched(killed)
    assert "continuing from checkpoint-" in continued.stderr, continued.stderr
    assert same_model(killed, undisturbed), "with as many processes bit by bit"
    run(alone)
    require_alike(alone, undisturbed, within=1e-3)


@pytest.mark.parametrize(
    ("changes", "variables", "message"),
    [
        ({"sharding": "full"}, {}, 'finetune.sharding = "full" needs several processes, and this is the only one'),
        ({}, {"ACCELERATE_USE_FSDP": "true"}, "ACCELERATE_USE_FSDP is set: launch without --use_fsdp"),
    ],
)
def test_what_cannot_be_shared_is_said_in_one_sentence(
    training: Training, changes: dict[str, Any], variables: dict[str, str], message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(command(changed(training, "refused", **changes))) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.strip().count("\n") == 0
