import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

pytest.importorskip("torch")

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers import AutoModelForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from jobs.recipe.config import Finetune
from model_ops.text.chat import ChatFormat
from model_ops.train import Training, main, parse, run
from model_ops.training import fit as fit_module
from model_ops.training import saving
from model_ops.training.checkpoints import check_trained_model, folder_digest, read_manifest
from model_ops.training.dataset import Example, Splits, examples, read_rows, training_order
from model_ops.training.divergence import Watch
from model_ops.training.settings import TrainingError, TrainingSettings
from model_ops.training.whole_folder import whole_folder
from tests.tiny_dataset import DATASET, rows, write_table
from tests.tiny_model import save_model, save_tokenizer

pytestmark = pytest.mark.model

SETTINGS = Finetune(
    method="lora", learning_rate=1e-2, final_learning_rate=1e-3, dropout=0.0, small_batch_size=4, micro_batch_size=2,
    gradient_checkpointing="none", epochs=2, max_length=256, lora_rank=4, lora_alpha=8, dtype="float32",
).settings("forward", 0)  # fmt: skip


@pytest.fixture
def training(tiny: Path, tmp_path: Path) -> Training:
    table, (n_rows, digest) = write_table(tmp_path / "lake", rows())
    return Training(
        table=table, version=0, dataset=DATASET, expect_rows=n_rows, expect_digest=digest, base_model=tiny,
        settings=TrainingSettings(**SETTINGS), config_digest="d" * 16, out=tmp_path / "models" / "forward-0",
    )  # fmt: skip


@pytest.fixture
def base16(tiny: Path, tmp_path: Path) -> Path:
    """Return the tiny model in bfloat16."""
    base = tmp_path / "base16"
    AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16).save_pretrained(base)
    save_tokenizer(base)
    return base


def command(training: Training, **changes: object) -> list[str]:
    """Return the command-line arguments of a training."""
    values = vars(training) | {"settings": training.settings.model_dump_json()} | changes
    return [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([[1, 50, 60, 70]])).logits


def load(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_the_command_line_says_what_the_recipe_says(training: Training) -> None:
    assert parse(command(training)) == (training, False)
    assert parse([*command(training), "--dry-run"])[1]


def test_lora_leaves_a_merged_model_its_adapter_and_a_manifest(training: Training, tiny: Path) -> None:
    assert main(command(training)) == 0
    manifest = check_trained_model(training.out)
    assert manifest.n_rows == 8
    assert manifest.n_examples == 6
    assert manifest.content_digest == training.expect_digest
    assert manifest.base_digest == folder_digest(tiny)
    assert manifest.settings == SETTINGS
    assert {"model.safetensors", "adapter/adapter_config.json", "tokenizer.json"} <= manifest.files.keys()
    config = json.loads((training.out / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None, "the digest is not of where it was trained"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert manifest.metrics["steps"] == 4  # ceil(6 / 4) a pass, two passes
    assert manifest.metrics["dev_loss"] < manifest.metrics["dev_loss_before"]
    assert manifest.metrics["tokens_per_second"] > 0
    assert (training.out / "config.json").read_bytes() == (tiny / "config.json").read_bytes()
    assert not list(training.out.rglob("*.bin"))
    assert [p.name for p in training.out.parent.iterdir()] == [training.out.name]
    adapted = logits(PeftModel.from_pretrained(load(tiny), training.out / "adapter"))
    assert torch.allclose(logits(load(training.out)), adapted, atol=1e-4)
    assert not torch.allclose(adapted, logits(load(tiny)), atol=1e-2)


@pytest.mark.parametrize(("given", "ends"), [(0, [2, 0]), ([0, 1], [2, 0, 1]), ([1, 2], [1, 2]), (None, [2])])
def test_whoever_serves_it_stops_where_it_was_trained_to(tmp_path: Path, given: object, ends: list[int]) -> None:
    file = tmp_path / "generation_config.json"
    if given is not None:
        file.write_text(json.dumps({"eos_token_id": given, "top_k": 20}))
    saving._add_end_token(2, file)
    config = json.loads(file.read_text())
    assert config["eos_token_id"] == ends
    assert given is None or config["top_k"] == 20


def test_the_same_training_is_not_done_twice(training: Training) -> None:
    run(training)
    before = {file: file.stat() for file in training.out.rglob("*")}
    run(training)
    assert {file: file.stat() for file in training.out.rglob("*")} == before
    changed = training.settings.model_copy(update={"seed": 1})
    with pytest.raises(TrainingError, match="holds another training: config_digest, settings differ; remove it or"):
        run(replace(training, settings=changed, config_digest="e" * 16))


def test_full_finetuning_changes_every_matrix_and_keeps_the_number_format(training: Training, base16: Path) -> None:
    full = training.settings.model_copy(update={"method": "full", "dropout": 0.1, "dtype": "bfloat16"})
    run(replace(training, base_model=base16, settings=full))
    manifest = check_trained_model(training.out)
    assert manifest.metrics["dev_loss"] < manifest.metrics["dev_loss_before"]
    assert not (training.out / "adapter").exists()
    assert not (training.out / "float32").exists()
    before = AutoModelForCausalLM.from_pretrained(base16).state_dict()
    after = AutoModelForCausalLM.from_pretrained(training.out).state_dict()
    assert after.keys() == before.keys()
    assert {tensor.dtype for tensor in after.values()} == {torch.bfloat16}
    assert all(not torch.equal(before[name], after[name]) for name in before if before[name].dim() > 1)


def test_adapters_on_a_bfloat16_base_are_merged_with_one_rounding(training: Training, base16: Path) -> None:
    run(replace(training, base_model=base16, settings=training.settings.model_copy(update={"dtype": "bfloat16"})))
    manifest = check_trained_model(training.out)
    assert manifest.metrics["dev_loss"] < manifest.metrics["dev_loss_before"]
    exact = PeftModel.from_pretrained(load(base16), training.out / "adapter").merge_and_unload().state_dict()
    merged = AutoModelForCausalLM.from_pretrained(training.out).state_dict()
    assert {tensor.dtype for tensor in merged.values()} == {torch.bfloat16}
    assert all(torch.equal(merged[name], exact[name].to(torch.bfloat16)) for name in exact)


def test_training_twice_gives_the_same_model(training: Training) -> None:
    again = replace(training, out=training.out.with_name("again"))
    run(training)
    run(again)
    assert read_manifest(training.out).digest == read_manifest(again.out).digest


@pytest.fixture
def trained_layers() -> Iterator[list[bool]]:
    """Record `module.training` at each forward pass through a decoder layer."""
    passes: list[bool] = []

    def note(module: Any, inputs: Any) -> None:
        if isinstance(module, LlamaDecoderLayer):
            passes.append(module.training)

    handle = register_module_forward_pre_hook(note)
    yield passes
    handle.remove()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_gradient_checkpointing_computes_layers_twice_and_changes_nothing(
    training: Training, trained_layers: list[bool], method: Literal["lora", "full"]
) -> None:
    calls, digests = [], []
    for mode in ("none", "selective", "full"):
        settings = training.settings.model_copy(update={"method": method, "gradient_checkpointing": mode})
        done = replace(training, settings=settings, out=training.out.with_name(mode))
        run(done)
        calls.append(sum(trained_layers))
        digests.append(read_manifest(done.out).digest)
        trained_layers.clear()
    assert calls[0]
    assert calls == [calls[0], 1.5 * calls[0], 2 * calls[0]], "of the two layers none, one, and both"
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.parametrize("packing", ["on", "off"])
def test_auto_chooses_by_the_memory(
    training: Training, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, packing: str
) -> None:
    auto = training.settings.model_copy(update={"gradient_checkpointing": "auto", "packing": packing, "epochs": 1.0})
    with caplog.at_level("INFO", logger="model_ops"):
        run(replace(training, settings=auto))
    assert "gradient_checkpointing=none" in caplog.text
    monkeypatch.setattr(fit_module, "_available_bytes", lambda model: 700_000)
    with pytest.raises(
        TrainingError, match=r"a step needs some 0\.0 GB, of which .* tokens of [\d,]+ in a forward pass"
    ):
        run(replace(training, settings=auto, out=training.out.with_name("b")))
    assert [p.name for p in training.out.parent.iterdir()] == [training.out.name]


def test_packing_changes_the_metrics_by_rounding_only(training: Training) -> None:
    run(training)
    packed = replace(training, out=training.out.with_name("packed"))
    run(replace(packed, settings=training.settings.model_copy(update={"packing": "on"})))
    padded, together = read_manifest(training.out).metrics, read_manifest(packed.out).metrics
    for metric in ("train_loss", "dev_loss_before", "dev_loss", "steps", "tokens"):
        assert together[metric] == pytest.approx(padded[metric], abs=1e-4), metric


def test_a_package_that_reporting_needs_is_named(training: Training) -> None:
    reporting = training.settings.model_copy(update={"report_to": "mlflow"})
    with pytest.raises(TrainingError, match=r"report_to: .*mlflow"):
        run(replace(training, settings=reporting))


def test_layers_below_the_first_adapted_one_are_left_alone(training: Training, tiny: Path) -> None:
    run(replace(training, settings=training.settings.model_copy(update={"lora_layers_from": 1})))
    before, after = load(tiny).state_dict(), load(training.out).state_dict()
    changed = {name.split(".")[2] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"1"}


def test_the_reported_loss_is_the_mean_over_tokens(training: Training) -> None:
    """One step over all examples, in micro-batches of two, reports the loss before it, with equal weight per token."""
    one_step = training.settings.model_copy(update={"small_batch_size": 6, "epochs": 1})
    run(replace(training, settings=one_step))
    train_loss = read_manifest(training.out).metrics["train_loss"]
    swapped = [row | {"split": {"train": "dev", "dev": "train"}[row["split"]]} for row in rows()]
    table, (n_rows, digest) = write_table(training.out.parent / "swapped", swapped)
    other = replace(training, table=table, expect_rows=n_rows, expect_digest=digest, out=training.out.with_name("b"))
    run(other)
    assert read_manifest(other.out).metrics["dev_loss_before"] == pytest.approx(train_loss, abs=1e-5)


def test_two_processes_train_as_one(training: Training, tmp_path: Path) -> None:
    """Each process takes every second micro-batch; gradients are combined, so the metrics equal those of one process."""
    table, (n_rows, digest) = write_table(tmp_path / "even", rows(8, 2))
    training = replace(training, table=table, expect_rows=n_rows, expect_digest=digest)
    run(training)
    together = replace(training, out=training.out.with_name("together"))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, "-m", "model_ops.train", *command(together)], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    alone, shared = read_manifest(training.out), read_manifest(together.out)
    assert shared.n_processes == 2
    for metric in ("train_loss", "dev_loss_before", "dev_loss", "steps", "tokens"):
        assert shared.metrics[metric] == pytest.approx(alone.metrics[metric], abs=2e-4), metric


DIVERGES = {"learning_rate": 1e6, "final_learning_rate": 1e6}
LAST_STEP_DIVERGES = {"learning_rate": 1e38, "final_learning_rate": 1e38, "small_batch_size": 6, "epochs": 1.0}


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (DIVERGES, r"diverged at step 2 of 4: the gradient is NaN or infinite; its examples: 04, 05; lower learning_r"),
        (DIVERGES | {"dtype": "bfloat16"}, r"diverged at step 2 of 4: the gradient is NaN or infinite"),
        (LAST_STEP_DIVERGES, r"diverged: after step 1 the loss of 2 of 2 held-out examples is NaN or infinite: 09, 02"),
        (
            LAST_STEP_DIVERGES | {"dev_examples": 0},
            r"diverged: after step 1, the last, [\d,]+ of [\d,]+ weights are NaN",
        ),
    ],
)
def test_what_diverges_is_never_published(
    training: Training, method: str, changes: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = training.settings.model_copy(update={"method": method} | changes)
    assert main(command(replace(training, settings=settings))) == 1
    written = capsys.readouterr().err
    assert re.search(message, written)
    assert f"lower learning_rate, which is {settings.learning_rate:g}" in written
    assert list(training.out.parent.iterdir()) == []


@pytest.fixture
def bad_from_step_5(monkeypatch: pytest.MonkeyPatch) -> str:
    """Give one example an infinite loss from step 5 on, with a finite gradient, as a label that the model excludes has."""
    losses = Watch.losses

    def spoiled(watch: Watch, of_examples: torch.Tensor) -> None:
        is_bad = torch.tensor([name == "07" and watch._step >= 5 for name in watch._ids[-1]])
        losses(watch, of_examples.masked_fill(is_bad, float("inf")))

    monkeypatch.setattr(Watch, "losses", spoiled)
    return "07"


@pytest.mark.parametrize("micro_batch_size", [1, 2, 4])
def test_one_bad_example_is_named_with_its_step(
    training: Training, bad_from_step_5: str, micro_batch_size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Losses are checked when they are reported, at every third of 102 steps."""
    settings = training.settings.model_copy(update={"epochs": 51.0, "micro_batch_size": micro_batch_size})
    made = examples(read_rows(training.table, 0, DATASET), "train", ChatFormat.load(training.base_model), 256)
    batches = [
        {made[i].example_id for i in order[start : start + 4]}
        for epoch in range(51)
        for order in [training_order([*map(len, made)], 4, 0, epoch)]
        for start in (0, 4)
    ]
    step = next(step for step, batch in enumerate(batches, 1) if step >= 5 and bad_from_step_5 in batch)
    n = len(batches[step - 1])
    message = f"diverged at step {step} of 102: the loss of 1 of its {n} examples is NaN or infinite: 07; lower"
    with caplog.at_level("INFO", logger="model_ops"), pytest.raises(TrainingError, match=message):
        run(replace(training, settings=settings))
    assert re.findall(r"step=(\d+)/102", caplog.text) == [str(n) for n in range(3, step, 3)]
    assert list(training.out.parent.iterdir()) == []


RANK_1_SEES = """
import os, sys
from model_ops.training.divergence import Watch
from model_ops.train import main
losses = Watch.losses
if os.environ["RANK"] == "1":
    Watch.losses = lambda watch, of_examples: losses(watch, of_examples * float("nan") if watch._step == 2 else of_examples)
sys.exit(main())
"""


def test_what_one_process_of_several_sees_ends_them_all(training: Training, tmp_path: Path) -> None:
    (tmp_path / "rank_1_sees.py").write_text(RANK_1_SEES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    here = str(Path(__file__).parents[2])
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": here}
    done = subprocess.run(
        [*launch, str(tmp_path / "rank_1_sees.py"), *command(training)], env=environment, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("training ")]
    assert len(said) == 2
    assert len(set(said)) == 1
    assert re.search(r"diverged at step 2 of 4: the loss of [12] of its [1234] examples is NaN or infinite", said[0])
    assert list(training.out.parent.iterdir()) == []


def test_a_base_model_with_one_nan_is_refused(training: Training, tiny: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny, tmp_path / "base")
    spoil(base / "model.safetensors", "model.layers.1.mlp.up_proj.weight")
    said = (
        f"{base}: 1 of 78,144 weights is NaN or infinite, in 1 of 20 tensors, e.g. 1 of the 4,096 in "
        "model.layers.1.mlp.up_proj.weight; take a sound copy of the base model"
    )
    for dry_run in (True, False):
        with pytest.raises(TrainingError, match=said):
            run(replace(training, base_model=base), dry_run=dry_run)
        assert not list(training.out.parent.glob("*"))


def spoil(file: Path, tensor: str) -> None:
    """Make the first number of a tensor NaN."""
    weights = load_file(file)
    weights[tensor].view(-1)[0] = float("nan")
    save_file(weights, file, {"format": "pt"})


def test_what_the_bases_number_format_cannot_hold_is_not_published(training: Training, tmp_path: Path) -> None:
    """float16 ends at 65,504; larger float32 weights become infinite when they are saved."""
    base = save_model(tmp_path / "base")
    AutoModelForCausalLM.from_pretrained(base, dtype=torch.float16).save_pretrained(base)
    changes = {"method": "full", "learning_rate": 1e5, "final_learning_rate": 1e5, "epochs": 1.0, "small_batch_size": 6}
    far = training.settings.model_copy(update=changes | {"dev_examples": 0})
    with pytest.raises(TrainingError, match=r"after step 1, the last, [\d,]+ of 78,144 weights are NaN or infinite"):
        run(replace(training, base_model=base, settings=far))
    assert list(training.out.parent.iterdir()) == []


def test_an_example_without_a_completion_is_refused() -> None:
    with pytest.raises(TrainingError, match="1 examples have no completion to learn: b; leave them out"):
        fit_module.require_completions(Splits([Example("a", [1], [2]), Example("b", [1], [])], []))


def test_the_learning_rate_falls_to_its_end(training: Training, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="model_ops"):
        run(training)
    rates = re.findall(r"learning_rate=(\S+)", caplog.text)
    assert rates == ["1.0e-02", "7.0e-03", "4.0e-03", "1.0e-03"]


def test_a_crash_leaves_nothing(training: Training) -> None:
    too_deep = training.settings.model_copy(update={"lora_layers_from": 2})
    with pytest.raises(TrainingError, match="leaves none to train"):
        run(replace(training, settings=too_deep))
    assert list(training.out.parent.iterdir()) == []


def test_a_model_that_another_process_trains_is_left_to_it(
    training: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    with whole_folder(training.out) as others:
        (others / "weights").touch()
        assert main(command(training)) == 1
        assert f"{training.out} is being trained by pid {os.getpid()} on host" in capsys.readouterr().err
        assert (others / "weights").exists()
        shutil.copytree(training.base_model, others, dirs_exist_ok=True)
    assert [p.name for p in training.out.parent.iterdir()] == [training.out.name]


def test_a_twin_that_was_finished_first_is_taken(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    run(replace(training, out=training.out.with_name("twin")))
    twin, fit = training.out.with_name("twin"), fit_module.fit

    def slower(*facts: Any) -> Any:
        done = fit(*facts)
        shutil.copytree(twin, training.out)
        return done

    monkeypatch.setattr(fit_module, "fit", slower)
    run(training)
    assert check_trained_model(training.out) == read_manifest(twin)
    assert sorted(p.name for p in training.out.parent.iterdir()) == [training.out.name, "twin"]


def test_what_a_killed_run_left_is_cleared(training: Training) -> None:
    left = training.out.with_name("forward-0.unfinished")
    left.mkdir(parents=True)
    (left / "model.safetensors").touch()
    run(training)
    assert [p.name for p in training.out.parent.iterdir()] == ["forward-0"]


def test_a_dry_run_writes_nothing(training: Training) -> None:
    assert main([*command(training), "--dry-run"]) == 0
    assert not training.out.parent.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expect_digest": "0" * 64}, "training demo/forward-0: demo/forward-0 is not what was released: 8 rows"),
        ({"expect_rows": 9}, "expected 9 with"),
        ({"version": 7}, "cannot read version 7"),
        ({"base_model": "/nowhere"}, "/nowhere: no such folder"),
        ({"settings": json.dumps(SETTINGS | {"max_length": 16})}, "6 of 6 train examples are longer than 16 tokens"),
        (
            {"settings": json.dumps(SETTINGS | {"lora_layers_from": 2})},
            "has 2 layers; lora_layers_from = 2 leaves none",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    training: Training, changes: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(training, **changes)) == 1
    written = capsys.readouterr().err
    assert message in written
    assert written.strip().count("\n") == 0
    assert not training.out.exists()


def test_a_data_set_without_training_rows(training: Training, tmp_path: Path) -> None:
    table, (n_rows, digest) = write_table(tmp_path / "dev", rows(0, 3))
    with pytest.raises(TrainingError, match="has no rows in the split train, and 3 in the split dev"):
        run(replace(training, table=table, expect_rows=n_rows, expect_digest=digest))


def test_an_example_longer_than_the_model_takes(training: Training, tmp_path: Path) -> None:
    base = save_model(tmp_path / "short", positions=64)
    with pytest.raises(TrainingError, match="takes 64 tokens, the longest example has 75; lower max_length"):
        run(replace(training, base_model=base))


def test_a_folder_in_the_way_is_left_alone(training: Training) -> None:
    training.out.mkdir(parents=True)
    (training.out / "notes.txt").touch()
    with pytest.raises(TrainingError, match="exists and holds no finished training; remove it or name another"):
        run(training)
    assert (training.out / "notes.txt").exists()
    shutil.rmtree(training.out)


def test_wrong_settings_are_wrong_usage(training: Training) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command(training, settings='{"epoch": 1}'))
    assert ended.value.code == 2
