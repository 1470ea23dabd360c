"""A subclass of transformers' Trainer with a fixed order of examples, a linear schedule and a loss per token."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from model_ops.training.dataset import training_order
from model_ops.training.divergence import Watch, named
from model_ops.training.loss import IGNORED, completion_loss, token_losses
from model_ops.training.settings import TrainingError, TrainingSettings

log = logging.getLogger(__name__)


class CompletionTrainer(Trainer):  # type: ignore[misc]  # transformers has no types
    """Trains on completions, in batches of `step_size` examples over all devices.

    With several devices, the last batch of an epoch is filled up with examples of its first, so that
    no device is idle.
    """

    def __init__(self, settings: TrainingSettings, step_size: int, **options: Any) -> None:
        """Set up the training of `settings`; `options` are passed to Trainer."""
        super().__init__(compute_loss_func=self._loss, compute_metrics=self._mean_loss, **options)
        self.settings, self.step_size, self.watch = settings, step_size, Watch(settings)
        self.remove_callback(PrinterCallback)

    def _get_train_sampler(self, train_dataset: Any = None) -> "EpochOrder":
        return EpochOrder([len(e) for e in self.train_dataset], self.step_size, self.settings.seed)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Schedule a linear decay from the first learning rate to the final one, reached at the last step."""
        fall = 1 - self.settings.final_learning_rate / self.settings.learning_rate
        last = max(num_training_steps - 1, 1)
        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: 1 - fall * min(step / last, 1))
        return self.lr_scheduler

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Run one forward and backward pass, and record its examples for `watch`."""
        self.watch.begin(self.state.global_step + 1, inputs.pop("ids"))
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        return loss

    def _loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        loss, of_examples = completion_loss(outputs.logits, labels, num_items_in_batch)
        self.watch.losses(of_examples)
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        self.watch.gradient(norm)
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Check that all losses and gradients since the last call are finite, then report a loss.

        Raises:
            TrainingError: the training has diverged.
        """
        self.watch.require_finite(self.state.max_steps)
        super().log(logs, start_time)

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[None, torch.Tensor, torch.Tensor]:
        """Return for each example the sum of its completion tokens' losses, and their number."""
        inputs = self._prepare_inputs(inputs)
        labels, _ = inputs.pop("labels"), inputs.pop("ids")
        with torch.no_grad(), self.compute_loss_context_manager():
            losses = token_losses(model(**inputs).logits, labels)
        return None, losses.sum(1), (labels != IGNORED).sum(1)

    def _mean_loss(self, prediction: Any) -> dict[str, float]:
        bad = np.flatnonzero(~np.isfinite(prediction.predictions))
        if bad.size:
            ids, n = [self.eval_dataset[i].example_id for i in bad], len(self.eval_dataset)
            step = self.state.global_step
            when = f"diverged: after step {step:,}" if step else "before the first step"
            raise TrainingError(
                f"{when} the loss of {bad.size:,} of {n:,} held-out examples is NaN or infinite: {named(ids)}; "
                f"{self.watch.advice(step + 1)}"
            )
        return {"loss": prediction.predictions.sum() / prediction.label_ids.sum()}


class EpochOrder(Sampler[int]):
    """A sampler that yields `training_order` for each epoch, the same in every process."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        """`lengths` are the examples' lengths in tokens."""
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def __len__(self) -> int:
        """Return the number of examples in an epoch."""
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indices of the examples."""
        return iter(training_order(self.lengths, self.batch_size, self.seed, self.epoch))

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; the data loader calls this before each one."""
        self.epoch = epoch


class Progress(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Logs the loss, the speed and the remaining time of a training."""

    def __init__(self, tokens_per_epoch: int) -> None:
        """`tokens_per_epoch` excludes padding."""
        self.tokens_per_epoch = tokens_per_epoch
        self.began: float | None = None
        self.seconds = 0.0
        """Time since the first step began, without the evaluation before it."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock at the first step."""
        self.began = self.began or time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Record the seconds since the first step began."""
        self.seconds = time.monotonic() - (self.began or 0.0)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Log one line for each reported loss, from the main process only."""
        logs = (logs or {}) if state.is_world_process_zero else {}
        if "eval_loss" in logs:
            log.info("step=%d held_out_loss=%.3f", state.global_step, logs["eval_loss"])
        if "loss" not in logs:
            return
        log.info(
            "step=%d/%d loss=%.3f learning_rate=%.1e tokens_per_s=%.0f eta_s=%.0f",
            state.global_step,
            state.max_steps,
            logs["loss"],
            logs["learning_rate"],
            state.epoch * self.tokens_per_epoch / self.seconds,
            self.seconds / state.global_step * (state.max_steps - state.global_step),
        )
