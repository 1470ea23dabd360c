"""A subclass of transformers' Trainer whose batches are optimizer steps, and which continues after a crash."""

import hashlib
import logging
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_pt_utils import nested_gather

from model_ops.training.divergence import Watch, named
from model_ops.training.loss import IGNORED, sums_by_example, token_losses
from model_ops.training.progress import Progress
from model_ops.training.resume import Checkpoints, Facts
from model_ops.training.settings import TrainingError, TrainingSettings
from model_ops.training.sharding import gathered, shard, share_moments, trained_weights
from model_ops.training.steps import Step, Steps

log = logging.getLogger(__name__)


class CompletionTrainer(Trainer):  # type: ignore[misc]  # transformers has no types
    """Trains on completions. For Trainer, the whole training is one epoch, and a batch is an optimizer step.

    The random numbers of each forward pass depend on seed, step, pass and process only. With the weights, the
    optimizer and the number of the step, a training therefore continues exactly where a checkpoint was written.
    """

    def __init__(self, steps: Steps, checkpoints: Checkpoints, progress: Progress, **options: Any) -> None:
        """Set up the training of `steps`, which continues from `checkpoints.start` if that is there.

        `options` are passed to Trainer.
        """
        self.is_sharded = steps.settings.sharding == "full"
        super().__init__(compute_loss_func=self._loss, compute_metrics=self._mean_loss, **options)
        settings = steps.settings
        self.settings, self.steps, self.watch = settings, steps, Watch(settings)
        self.checkpoints, self.progress = checkpoints, progress
        self.remove_callback(PrinterCallback)
        for callback in (progress, _Continuation(self), _Saving(settings)):
            self.add_callback(callback)
        self._of_pass: dict[str, Any] = {}

    def _move_model_to_device(self, model: Any, device: Any) -> None:
        """Move nothing if processes share the weights: the whole model may not fit, and `shard` moves the shares."""
        if not self.is_sharded:
            super()._move_model_to_device(model, device)

    def create_optimizer(self, *given: Any, **options: Any) -> Any:
        """Create the optimizer, before that the shares of the weights, which Trainer has read from a checkpoint."""
        if self.is_sharded and self.optimizer is None:
            shard(self.model)
            # Marks the model as prepared, so that Trainer adds no second exchange of gradients.
            self.accelerator.prepare_model(self.model, device_placement=False, evaluation_mode=True)
            optimizer = super().create_optimizer(*given, **options)
            optimizer.register_load_state_dict_pre_hook(share_moments)
            return optimizer
        return super().create_optimizer(*given, **options)

    def get_train_dataloader(self) -> DataLoader[Step]:
        """Return the optimizer steps of this process; unlike Trainer's own loader, no other process deals them out."""
        return DataLoader(self.steps, batch_size=1, collate_fn=lambda steps: steps[0])

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Step], torch.Tensor]:
        """Return the next step, and the number of completion tokens of all processes in it."""
        with self.progress.waiting():
            step = next(epoch_iterator)
        self.progress.n_tokens += step.n_seen
        return [step], torch.tensor(step.n_tokens, device=device)

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: Trainer estimates them from padded batches, which these are not."""
        return 0

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Schedule a linear decay from the first learning rate to the final one, reached at the last step."""
        fall = 1 - self.settings.final_learning_rate / self.settings.learning_rate
        last = max(num_training_steps - 1, 1)
        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: 1 - fall * min(step / last, 1))
        return self.lr_scheduler

    def training_step(self, model: Any, inputs: Step, num_items_in_batch: Any = None) -> torch.Tensor:
        """Run the forward and backward passes of a step, and return the sum of their losses."""
        losses = []
        for place, one_pass in enumerate(inputs.passes):
            torch.manual_seed(self._seed(place))
            is_last = place == len(inputs.passes) - 1
            with self.accelerator.no_sync(model) if self._may_wait and not is_last else nullcontext():
                losses.append(self._run_pass(model, dict(one_pass), num_items_in_batch))
        return torch.stack(losses).sum()

    @property
    def _may_wait(self) -> bool:
        """Whether gradients are exchanged after a step's last pass only; with sharded weights they would not fit."""
        return self.args.world_size > 1 and not self.is_sharded

    def _run_pass(self, model: Any, inputs: dict[str, Any], n_tokens: Any) -> torch.Tensor:
        ids = inputs.pop("ids")
        self._of_pass = {"owners": inputs.pop("owners"), "n_examples": len(ids)}
        self.watch.begin(self.state.global_step + 1, ids)
        loss: torch.Tensor = super().training_step(model, inputs, n_tokens)
        return loss

    def _seed(self, place: int) -> int:
        """Return the seed of a pass of the current step in this process, for dropout."""
        name = f"{self.settings.seed}/{self.state.global_step}/{place}/{self.args.process_index}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])

    def _loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        losses = token_losses(outputs.logits, labels)
        owners = self._of_pass["owners"].to(losses.device)
        self.watch.losses(sums_by_example(losses, owners, self._of_pass["n_examples"]))
        return losses.sum() / num_items_in_batch

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
        labels, _, _ = inputs.pop("labels"), inputs.pop("ids"), inputs.pop("owners")
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

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint; Trainer writes its part to `args.output_dir`, the folder of unfinished ones.

        Raises:
            TrainingError: the training has diverged; the checkpoint before stays.
        """
        self.watch.require_finite(self.state.max_steps)
        losses = self._sums_of_losses()
        with self.checkpoints.writing(self.state.global_step, is_main=self.is_world_process_zero()) as folder:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                for pickled in folder.rglob("training_args.bin"):
                    pickled.unlink()
                self.checkpoints.complete(
                    folder,
                    n_processes=self.args.world_size,
                    step=self.state.global_step,
                    seconds=self.progress.seconds,
                    n_tokens=self.progress.n_tokens,
                    losses=losses,
                )
        self.accelerator.wait_for_everyone()
        log.info("step=%d checkpoint=%s", self.state.global_step, folder.name)

    def _sums_of_losses(self) -> dict[str, float]:
        """Return the sums from which Trainer computes losses, averaged over processes."""
        since_log = nested_gather(self._tr_loss, self.args.parallel_mode).mean().item()
        return {"since_log": since_log, "total": self._total_loss_scalar, "last_log": self._globalstep_last_logged}

    def restore(self, start: Facts) -> None:
        """Continue the sums of losses and the clock of the checkpoint that the training continues from."""
        self.progress.resume(start.seconds, start.n_tokens)
        losses = start.losses
        self._tr_loss += losses["since_log"]
        self._total_loss_scalar = losses["total"]
        self._globalstep_last_logged = int(losses["last_log"])
        self._initial_global_step = 0

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the trained weights from the main process; every process must call this."""
        if not self.is_sharded:
            super().save_model(output_dir, _internal_call=_internal_call)
            return
        weights = trained_weights(self.model, keep=self.args.should_save)
        if self.args.should_save:
            self._save(output_dir, state_dict=weights)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Save both in the form of a single process, so that any number of processes can continue."""
        if not self.is_sharded:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        moments = gathered(self.optimizer.state_dict(), keep=self.args.should_save)
        if self.args.should_save:
            torch.save(moments, Path(output_dir, OPTIMIZER_NAME))
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir, SCHEDULER_NAME))

    def _save_rng_state(self, output_dir: str) -> None:
        """Save nothing: the random numbers of a pass follow from its place."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load nothing: the random numbers of a pass follow from its place."""


class _Continuation(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Restores at the beginning of a training what Trainer itself does not."""

    def __init__(self, trainer: CompletionTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.trainer.checkpoints.start:
            self.trainer.restore(self.trainer.checkpoints.start[1])


class _Saving(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Asks for a checkpoint after a number of steps or minutes, but not after the last step."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings, self.last = settings, time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        steps, seconds = self.settings.checkpoint_steps, 60 * self.settings.checkpoint_minutes
        is_due = bool(steps) and state.global_step % steps == 0
        is_due = is_due or (bool(seconds) and time.monotonic() - self.last >= seconds)
        if args.world_size > 1:  # the clocks of the processes differ
            flag = torch.tensor(is_due, device=args.device, dtype=torch.uint8)
            torch.distributed.broadcast(flag, 0)
            is_due = bool(flag.item())
        if is_due and state.global_step < state.max_steps:
            control.should_save = True
            self.last = time.monotonic()
