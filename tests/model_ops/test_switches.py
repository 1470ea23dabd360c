"""The trainer's switches: each trains what it would train without them, or says why it cannot."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file
from torch._dynamo.exc import TorchDynamoException
from transformers import AutoModelForCausalLM

from model_ops.train import Training, main, run
from model_ops.training import fit as fit_module
from model_ops.training import switches
from model_ops.training.checkpoints import check_trained_model, read_manifest
from model_ops.training.completion_trainer import CompletionTrainer
from model_ops.training.layers import decoder_layers
from model_ops.training.settings import TrainingError
from tests.model_ops.killing import Killed
from tests.model_ops.test_resume import same_model, training_of
from tests.model_ops.test_sharding import changed
from tests.model_ops.test_train import command
from tests.tiny_dataset import rows, write_table

pytestmark = pytest.mark.model

has_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="humpback[fast] is not installed"
)
SCALE = 2
"""Of the adapters: alpha 8 for rank 4."""
has_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler here")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, tuple[int, str]]:
    return write_table(tmp_path_factory.mktemp("lake"), rows(n_train=10))


@pytest.fixture
def training(tiny: Path, table: Any, tmp_path: Path) -> Training:
    return training_of(tiny, table, tmp_path)


def killed_and_continued(training: Training, kill: Any) -> None:
    """Kill a training in step 5, and finish it."""
    kill(5)
    with pytest.raises(Killed):
        run(training)
    kill(None)
    run(training)


@has_compiler
@pytest.mark.timeout(900)
def test_compiled_layers_train_alike_and_continue_exactly(training: Training, kill: Any) -> None:
    changes = {"dropout": 0.0, "packing": "on", "gradient_checkpointing": "selective"}
    plain = changed(training, "plain", **changes)
    compiled = changed(training, "compiled", **changes, compile=True)
    killed = changed(training, "killed", **changes, compile=True)
    run(plain)
    run(compiled)
    ours, theirs = read_manifest(compiled.out).metrics, read_manifest(plain.out).metrics
    for metric in ("train_loss", "dev_loss_before", "dev_loss", "steps", "tokens"):
        assert ours[metric] == pytest.approx(theirs[metric], abs=1e-4), metric
    killed_and_continued(killed, kill)
    assert same_model(killed, compiled)


def test_a_model_of_unknown_layers_is_refused() -> None:
    with pytest.raises(TrainingError, match="Linear has no decoder layers in transformers' form; set finetune"):
        decoder_layers(torch.nn.Linear(1, 1))


def test_layers_that_cannot_be_compiled_are_an_error_of_one_sentence(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first call fails, e.g. where Python's header files are missing."""

    def failing(trainer: Any, *_: Any) -> None:
        raise TorchDynamoException("fatal error: Python.h: No such file\nand a hundred lines more")

    monkeypatch.setattr(CompletionTrainer, "training_step", failing)
    with pytest.raises(TrainingError, match=r"compiled: fatal error: Python.h: No such file; set finetune.compile to"):
        run(training)


@has_bitsandbytes
def test_moments_in_8_bits_train_too_and_continue_exactly(
    training: Training, kill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only matrices of at least 4,096 numbers have moments in 8 bits, as in the tiny model's full finetune."""
    moments: list[set[torch.dtype]] = []
    saved = CompletionTrainer._save_checkpoint

    def note(trainer: Any, *given: Any) -> None:
        states = trainer.optimizer.optimizer.state.values()
        moments.append({value.dtype for state in states for value in state.values() if isinstance(value, torch.Tensor)})
        saved(trainer, *given)

    monkeypatch.setattr(CompletionTrainer, "_save_checkpoint", note)
    changes = {"method": "full", "optimizer": "adamw_8bit", "dropout": 0.0}
    undisturbed, killed = changed(training, "undisturbed", **changes), changed(training, "killed", **changes)
    exact = changed(training, "exact", **changes | {"optimizer": "adamw"})
    for one in (undisturbed, exact):
        run(one)
    assert torch.uint8 in moments[0]
    ours, theirs = read_manifest(undisturbed.out).metrics, read_manifest(exact.out).metrics
    assert ours["dev_loss"] == pytest.approx(theirs["dev_loss"], rel=0.05)
    assert ours["dev_loss"] != theirs["dev_loss"]
    killed_and_continued(killed, kill)
    assert same_model(killed, undisturbed)


@has_bitsandbytes
def test_adapters_on_a_base_in_4_bits_are_merged_into_the_whole_base(
    training: Training, tiny: Path, kill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers that servers must repeat are those of the merged model."""
    answering: list[set[str]] = []
    monkeypatch.setattr(fit_module, "reference_answers", lambda model, *_: answering.append(kinds(model)) or [])
    undisturbed, killed = (changed(training, name, quantization="nf4") for name in ("undisturbed", "killed"))
    run(undisturbed)
    manifest = check_trained_model(undisturbed.out)
    assert manifest.metrics["dev_loss"] < manifest.metrics["dev_loss_before"]
    assert answering == [{"Embedding", "Linear"}]
    adapter = load_file(undisturbed.out / "adapter" / "adapter_model.safetensors")
    before, after = load_file(tiny / "model.safetensors"), load_file(undisturbed.out / "model.safetensors")
    name = "model.layers.0.mlp.up_proj"
    a, b = (adapter[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    merged = before[f"{name}.weight"] + b @ a * SCALE
    assert torch.allclose(after[f"{name}.weight"], merged, atol=1e-6)
    killed_and_continued(killed, kill)
    assert same_model(killed, undisturbed)


def kinds(model: Any) -> set[str]:
    """The classes of a model's modules with a weight matrix."""
    return {type(m).__name__ for m in model.modules() if getattr(getattr(m, "weight", None), "ndim", 0) == 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernels": "liger"}, 'finetune.kernels = "liger" runs on a GPU only, and there is none; set it to "none"'),
        ({"kernels": "liger"}, 'finetune.kernels = "liger" needs the package liger-kernel: install humpback[fast]'),
        ({"optimizer": "adamw_8bit"}, 'finetune.optimizer = "adamw_8bit" needs the package bitsandbytes: install'),
        ({"quantization": "nf4"}, 'finetune.quantization = "nf4" needs the package bitsandbytes: install humpback'),
        ({"compile": True}, "finetune.compile needs a C++ compiler (g++ or clang++); install one, or set it to false"),
    ],
)
def test_what_this_machine_lacks_is_said_in_one_sentence(
    training: Training, changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(switches, "find_spec", lambda name: None)
    monkeypatch.setattr(switches.shutil, "which", lambda name: None)
    monkeypatch.setattr(switches.torch.cuda, "is_available", lambda: False)
    assert main(command(changed(training, "refused", **changes))) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.strip().count("\n") == 0


def test_ligers_kernels_replace_norms_and_products_but_not_the_loss(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a GPU runs them; here they are put in place."""
    pytest.importorskip("liger_kernel")
    from transformers.models.llama import modeling_llama

    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", modeling_llama.apply_rotary_pos_emb)  # put back after
    model = AutoModelForCausalLM.from_pretrained(tiny)
    forward = model.forward.__func__
    switches.use_liger(model)
    layer = model.model.layers[0]
    for replaced in (layer.mlp, layer.input_layernorm, layer.post_attention_layernorm, model.model.norm):
        assert "liger_kernel" in replaced.forward.__func__.__module__, type(replaced)
    assert "liger_kernel" in modeling_llama.apply_rotary_pos_emb.__module__
    assert model.forward.__func__ is forward
    model.config.model_type = "unheard of"
    with pytest.raises(TrainingError, match="Liger has no kernels for models of type unheard of"):
        switches.use_liger(model)
