"""The training itself: from the settings to the loop, its metrics and the files to serve."""

import logging
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch._dynamo.exc import TorchDynamoException
from transformers import TrainingArguments, set_seed
from transformers.utils import logging as transformers_logging

from model_ops.devices import served_dtype
from model_ops.training.completion_trainer import CompletionTrainer
from model_ops.training.dataset import Splits
from model_ops.training.divergence import named
from model_ops.training.loss import collate
from model_ops.training.memory import Recomputed, Weights, fitting_mode, free_bytes, needed_bytes, shape_of, too_large
from model_ops.training.parity import reference_answers
from model_ops.training.progress import Progress, matrix_product_rate, operations_per_token, peak_memory_mib
from model_ops.training.resume import Checkpoints
from model_ops.training.saving import save
from model_ops.training.settings import TrainingError, TrainingSettings
from model_ops.training.steps import Steps
from model_ops.training.switches import require
from model_ops.training.trainable import load, trainable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """The metrics and circumstances of a training, for its manifest."""

    metrics: dict[str, float]
    reference: list[dict[str, list[int]]]
    """The result of `reference_answers`; empty in all processes but the main one."""
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
    process, n_processes = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    require(settings, n_processes)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    dtype = served_dtype(settings.dtype)
    set_seed(settings.seed)
    steps = Steps(examples.train, settings, end_id, process, n_processes)
    is_first = checkpoints.start is None
    model = trainable(settings, base, dtype, max(map(len, [*examples.train, *examples.dev])))
    mode = _recomputed(model, dtype, steps)
    args = _arguments(settings, checkpoints.unfinished, mode, evaluate_first=bool(examples.dev) and is_first)
    trainer = _trainer(steps, checkpoints, examples, model, args)
    try:
        metrics = _train(trainer) | _speed(trainer)
    finally:
        if trainer.is_world_process_zero():
            checkpoints.clear_unfinished()
    is_served = settings.quantization == "none"  # the model in training has the weights that are served
    reference = _reference(trainer, trainer.model, examples, end_id) if is_served else []
    save(trainer, base, out, end_id)
    if not is_served and trainer.is_world_process_zero():
        merged = load(out, getattr(torch, dtype)).to(args.device)
        reference = _reference(trainer, merged, examples, end_id)
    return Fitted(metrics, reference, dtype, _device(), args.world_size)


def _trainer(
    steps: Steps, checkpoints: Checkpoints, examples: Splits, model: Any, args: TrainingArguments
) -> CompletionTrainer:
    """Set up the training loop.

    Raises:
        TrainingError: the package that `report_to` needs is not installed.
    """
    operations = operations_per_token(model.num_parameters(), steps.settings.method == "full")
    progress = Progress(operations, matrix_product_rate(served_dtype(steps.settings.dtype)), args.world_size)
    try:
        return CompletionTrainer(
            steps,
            checkpoints,
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


def _arguments(settings: TrainingSettings, out: Path, mode: Recomputed, *, evaluate_first: bool) -> TrainingArguments:
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
        optim="adamw_8bit" if settings.optimizer == "adamw_8bit" else "adamw_torch_fused",
        bf16=served_dtype(settings.dtype) == "bfloat16",
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


def _train(trainer: CompletionTrainer) -> dict[str, float]:
    """Train, and return the training loss and, with held-out examples, their losses before and after.

    Raises:
        TrainingError: the training diverges, or its layers cannot be compiled.
    """
    start = trainer.checkpoints.start
    if start:
        folder, facts = start
        log.info("continuing from %s at step %d of %d", folder.name, facts.step, len(trainer.steps))
        if facts.n_processes != trainer.args.world_size:
            log.warning(
                "the checkpoint is of %d processes, not of %d: the result will differ by rounding",
                facts.n_processes,
                trainer.args.world_size,
            )
    try:
        done = trainer.train(resume_from_checkpoint=str(start[0]) if start else None)
    except TorchDynamoException as error:
        first_line = str(error).partition("\n")[0]
        raise TrainingError(f"the layers cannot be compiled: {first_line}; set finetune.compile to false") from error
    losses = {"train_loss": done.training_loss}
    if trainer.eval_dataset:
        # No separate call of evaluate() before: it would leave the training without gradients shared over processes.
        losses["dev_loss_before"] = next(e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e)
        losses["dev_loss"] = trainer.evaluate()["eval_loss"]
    return losses


def _reference(trainer: CompletionTrainer, model: Any, examples: Splits, end_id: int) -> list[dict[str, list[int]]]:
    """Answer a few prompts with a model; of weights that processes share, every process computes the answers."""
    is_main = trainer.is_world_process_zero()
    if not is_main and not trainer.is_sharded:
        return []
    model = trainer.accelerator.unwrap_model(model).eval()
    with trainer.accelerator.autocast():
        answers = reference_answers(model, examples.dev or examples.train, end_id, served_dtype(trainer.settings.dtype))
    return answers if is_main else []


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


def _recomputed(model: Any, dtype: str, steps: Steps) -> Recomputed:
    """Choose the layers whose activations are computed again, by an estimate of the memory, and log the estimate.

    Raises:
        TrainingError: the training does not fit.
    """
    settings = steps.settings
    weights = Weights(
        frozen_bytes=sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad),
        n_trained=model.num_parameters(only_trainable=True),
        bytes_per_trained=10 if settings.optimizer == "adamw_8bit" else 16,
        n_processes=steps.n_processes if settings.sharding == "full" else 1,
    )
    shape = shape_of(model.config, weights, 2 if dtype == "bfloat16" else 4)
    largest, available = steps.largest_pass(), _available_bytes(model)
    chosen = settings.gradient_checkpointing
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


def _device() -> str:
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"CPU, {torch.get_num_threads()} threads"
