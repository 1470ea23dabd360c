"""The training itself: load the base model, train adapters or all weights, save the files to serve."""

import json
import logging
import os
import re
import shutil
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn import Linear
from transformers import AutoConfig, AutoModelForCausalLM, TrainingArguments, set_seed
from transformers.utils import logging as transformers_logging

from model_ops.devices import Dtype, served_dtype
from model_ops.training.checkpoints import MANIFEST
from model_ops.training.completion_trainer import CompletionTrainer
from model_ops.training.dataset import Splits
from model_ops.training.divergence import named
from model_ops.training.loss import collate
from model_ops.training.memory import Recomputed, fitting_mode, free_bytes, needed_bytes, shape_of, too_large
from model_ops.training.parity import reference_answers
from model_ops.training.progress import Progress, matrix_product_rate, operations_per_token, peak_memory_mib
from model_ops.training.resume import Checkpoints, Facts
from model_ops.training.settings import TrainingError, TrainingSettings
from model_ops.training.steps import Steps

log = logging.getLogger(__name__)

# Names of dropout settings across architectures; a full finetune sets those that the model has.
DROPOUTS = ("attention_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop", "hidden_dropout")


@dataclass(frozen=True)
class Fitted:
    """The metrics and circumstances of a training, for its manifest."""

    metrics: dict[str, float]
    reference: list[dict[str, list[int]]]
    """The result of `reference_answers`; empty if the weights are spread over processes."""
    dtype: str
    device: str
    n_processes: int


def fit(
    settings: TrainingSettings, base: Path, end_id: int, examples: Splits, out: Path, checkpoints: Checkpoints
) -> Fitted:
    """Train from the base model or a checkpoint, and save the result to `out`, an adapter also to `out/adapter`.

    With bfloat16, the trained weights (adapters, or all in a full finetune) are still kept in float32 and only
    multiplied in bfloat16: small steps would be rounded away. The saved model has the number format
    of the base model. It ends its answers with `end_id`, which is also the padding token.

    Raises:
        TrainingError: the model cannot be trained as the settings ask, the training diverges, or the checkpoints are
            another training's.
    """
    require_completions(examples)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    dtype = served_dtype(settings.dtype)
    newest = checkpoints.newest()
    set_seed(settings.seed)
    model = _trainable(settings, base, dtype, max(map(len, [*examples.train, *examples.dev])))
    process, n_processes = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    steps = Steps(examples.train, settings, end_id, process, n_processes)
    mode = _recomputed(settings, model, dtype, steps)
    args = _arguments(settings, dtype, checkpoints.unfinished, mode, evaluate_first=bool(examples.dev) and not newest)
    trainer = _trainer(steps, checkpoints, newest, examples, model, args, dtype)
    try:
        metrics = _train(trainer, newest) | _speed(trainer)
    finally:
        if trainer.is_world_process_zero():
            checkpoints.clear_unfinished()
    reference = _reference(trainer, examples, end_id, dtype)
    _save(trainer, settings, base, out, end_id)
    return Fitted(metrics, reference, dtype, _device(), args.world_size)


def _trainer(
    steps: Steps,
    checkpoints: Checkpoints,
    newest: tuple[Path, Facts] | None,
    examples: Splits,
    model: Any,
    args: TrainingArguments,
    dtype: Dtype,
) -> CompletionTrainer:
    """Set up the training loop.

    Raises:
        TrainingError: the package that `report_to` needs is not installed.
    """
    operations = operations_per_token(model.num_parameters(), steps.settings.method == "full")
    progress = Progress(operations, matrix_product_rate(dtype), args.world_size)
    try:
        return CompletionTrainer(
            steps,
            checkpoints,
            newest[1] if newest else None,
            progress,
            model=model,
            args=args,
            train_dataset=examples.train,
            eval_dataset=sorted(examples.dev, key=len, reverse=True),
            data_collator=partial(collate, pad=steps.pad),
        )
    except RuntimeError as error:
        if steps.settings.report_to == "none":
            raise
        raise TrainingError(f"report_to: {error}") from error  # its package is not installed


def require_completions(examples: Splits) -> None:
    """Check that every example has a completion: the loss of a batch without completion tokens is 0 or NaN.

    Raises:
        TrainingError: examples have none; names the first few.
    """
    empty = [example.example_id for example in (*examples.train, *examples.dev) if not example.completion]
    if empty:
        raise TrainingError(f"{len(empty):,} examples have no completion to learn: {named(empty)}; leave them out")


def _arguments(
    settings: TrainingSettings, dtype: str, out: Path, mode: Recomputed, *, evaluate_first: bool
) -> TrainingArguments:
    cuda = torch.cuda.is_available()
    args = TrainingArguments(
        output_dir=str(out),
        report_to=settings.report_to,
        save_strategy="no",  # checkpoints are asked for by time or step
        disable_tqdm=True,
        logging_steps=0.02,
        logging_nan_inf_filter=False,  # else a diverged training reports its last finite loss
        seed=settings.seed,
        num_train_epochs=1,  # the steps of all epochs are one for Trainer
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        bf16=dtype == "bfloat16",
        use_cpu=not cuda,
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        eval_on_start=evaluate_first,
        per_device_eval_batch_size=settings.micro_batch_size,
        ddp_find_unused_parameters=False,
        gradient_checkpointing=mode != "none",
        gradient_checkpointing_kwargs={
            "use_reentrant": False,  # the reentrant kind fails at frozen embeddings
            "every_n_layers": 2 if mode == "selective" else 1,
        },
    )
    args._n_gpu = min(args.n_gpu, 1)  # one GPU per process: else Trainer multiplies the batch size
    return args


def _train(trainer: CompletionTrainer, newest: tuple[Path, Facts] | None) -> dict[str, float]:
    """Train, and return the training loss and, with held-out examples, their losses before and after."""
    if newest:
        folder, facts = newest
        log.info("continuing from %s at step %d of %d", folder.name, facts.step, len(trainer.steps))
        if facts.n_processes != trainer.args.world_size:
            log.warning(
                "the checkpoint is of %d processes, not of %d: the result will differ by rounding",
                facts.n_processes,
                trainer.args.world_size,
            )
    losses = {"train_loss": trainer.train(resume_from_checkpoint=str(newest[0]) if newest else None).training_loss}
    if trainer.eval_dataset:
        # No separate call of evaluate() before: it would leave the training without gradients shared over processes.
        losses["dev_loss_before"] = next(e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e)
        losses["dev_loss"] = trainer.evaluate()["eval_loss"]
    return losses


def _reference(trainer: CompletionTrainer, examples: Splits, end_id: int, dtype: Dtype) -> list[dict[str, list[int]]]:
    if trainer.is_fsdp_enabled or not trainer.is_world_process_zero():
        return []
    model = trainer.accelerator.unwrap_model(trainer.model).eval()
    with trainer.accelerator.autocast():
        return reference_answers(model, examples.dev or examples.train, end_id, dtype)


def _speed(trainer: CompletionTrainer) -> dict[str, float]:
    progress = trainer.progress
    return {
        "tokens": progress.n_tokens,
        "seconds": progress.seconds,
        "tokens_per_second": progress.tokens_per_second,
        "model_flops_utilisation": progress.utilisation,
        "steps": trainer.state.global_step,
        "peak_memory_mib": peak_memory_mib(),
    }


def _load(folder: Path, dtype: torch.dtype, **options: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True, **options
    )


def _trainable(settings: TrainingSettings, base: Path, dtype: str, longest: int) -> Any:
    is_full = settings.method == "full"
    model = _with_dropout(base, settings.dropout) if is_full else _load(base, getattr(torch, dtype))
    positions = getattr(model.config, "max_position_embeddings", longest)
    if longest > positions:
        raise TrainingError(f"{base} takes {positions:,} tokens, the longest example has {longest:,}; lower max_length")
    if "logits_to_keep" not in signature(model.forward).parameters:
        raise TrainingError(f"{base}: {type(model).__name__} cannot limit its logits to the completion")
    return model if is_full else _with_adapters(model, settings, base, dtype)


def _recomputed(settings: TrainingSettings, model: Any, dtype: str, steps: Steps) -> Recomputed:
    """Choose the layers whose activations are computed again, by an estimate of the memory, and log the estimate.

    Raises:
        TrainingError: the training does not fit.
    """
    chosen = settings.gradient_checkpointing
    if any(os.environ.get(f"ACCELERATE_USE_{how}") == "true" for how in ("FSDP", "DEEPSPEED")):
        return "full" if chosen == "auto" else chosen  # the weights are spread: the estimate is of one device
    n_trained = model.num_parameters(only_trainable=True)
    shape = shape_of(model.config, model.num_parameters(), n_trained, 2 if dtype == "bfloat16" else 4)
    largest, available = steps.largest_pass(), _available_bytes(model)
    mode = fitting_mode(shape, largest, available) if chosen == "auto" else chosen
    needed = needed_bytes(shape, largest, mode)
    if needed > available:
        raise TrainingError(too_large(shape, largest, mode, available))
    log.info(
        "memory: some %.1f of %.1f GB for passes of %d tokens; gradient_checkpointing=%s",
        needed / 1e9,
        available / 1e9,
        largest.n_tokens,
        mode,
    )
    return mode


def _available_bytes(model: Any) -> int:
    """Return the memory for a training on the device, that of the loaded model included."""
    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return free_bytes() + int(model.get_memory_footprint())


def _with_dropout(base: Path, dropout: float) -> Any:
    """Load the base model in float32, with `dropout` in every dropout setting that its configuration has."""
    config = AutoConfig.from_pretrained(base, local_files_only=True)
    for name in DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, dropout)
    return _load(base, torch.float32, config=config)


def _with_adapters(model: Any, settings: TrainingSettings, base: Path, dtype: str) -> Any:
    n_layers, first = model.config.num_hidden_layers, settings.lora_layers_from
    if first >= n_layers:
        raise TrainingError(f"{base} has {n_layers} layers; lora_layers_from = {first} leaves none to train")
    adapted = get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            target_modules=_linear_from(model, first) if first else "all-linear",
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.dropout,
        ),
    )
    for module in adapted.modules():
        if dtype == "bfloat16" and isinstance(module, BaseTunerLayer):
            # Adapters are float32. peft would cast their inputs to float32, only for autocast to cast them back.
            module.cast_input_dtype_enabled = False
    return adapted


def _linear_from(model: Any, first: int) -> list[str]:
    """Name the linear modules of the layers from `first` on; peft's `layers_to_transform` rejects all-linear."""
    layer = {name: re.search(r"\.(\d+)\.", name) for name, m in model.named_modules() if isinstance(m, Linear)}
    return [name for name, number in layer.items() if number and int(number[1]) >= first]


def _save(trainer: CompletionTrainer, settings: TrainingSettings, base: Path, out: Path, end_id: int) -> None:
    """Save full weights in the base's number format, with the base's tokenizer and settings."""
    trained = out / ("adapter" if settings.method == "lora" else "float32")
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")  # shards would not be saved
    trainer.save_model(str(trained))  # in every process: the weights may be sharded over them
    # The last joint step. Connections are closed here: one that outlives its interpreter kills its process.
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()
    if not trainer.is_world_process_zero():
        return
    (trained / "training_args.bin").unlink()  # a pickle
    dtype = AutoConfig.from_pretrained(base, local_files_only=True).dtype or torch.float32
    if settings.method == "lora":
        _normalise_adapter(trained / "adapter_config.json")
        # Merged into a fresh base; adapters and their product are float32, so that each sum is rounded once.
        model = PeftModel.from_pretrained(_load(base, dtype), trained).merge_and_unload()
    else:
        model = _load(trained, dtype)
    model.save_pretrained(out)
    if settings.method == "full":
        shutil.rmtree(trained)
    for file in base.iterdir():
        is_index = file.name.endswith(".index.json")
        if file.suffix in {".json", ".jinja", ".model"} and file.name != MANIFEST and not is_index:
            shutil.copyfile(file, out / file.name)
    _add_end_token(end_id, out / "generation_config.json")


def _normalise_adapter(file: Path) -> None:
    """Remove the base model's path from an adapter's settings and sort its modules, for a reproducible digest."""
    config = json.loads(file.read_text())
    config |= {"base_model_name_or_path": None, "target_modules": sorted(config["target_modules"])}
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _add_end_token(end_id: int, file: Path) -> None:
    """Add `end_id` to the end tokens in a `generation_config.json`, for servers that read it."""
    config = json.loads(file.read_text()) if file.is_file() else {}
    configured = config.get("eos_token_id")
    ends = configured if isinstance(configured, list) else [configured] if configured is not None else []
    if end_id not in ends:
        file.write_text(json.dumps(config | {"eos_token_id": [end_id, *ends]}, indent=2) + "\n")


def _device() -> str:
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"CPU, {torch.get_num_threads()} threads"
