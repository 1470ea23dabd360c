"""Progress of a training: loss, speed, share of the hardware's speed, memory, time waiting and time left."""

import logging
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import TrainerCallback

log = logging.getLogger(__name__)


class Progress(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Logs a line for each reported loss, from the main process."""

    def __init__(self, operations_per_token: float, peak: float, n_processes: int) -> None:
        """`operations_per_token` is the result of `operations_per_token`, `peak` that of `matrix_product_rate`."""
        self.operations_per_token, self.peak = operations_per_token, peak * n_processes
        self.began: float | None = None
        self.seconds = 0.0
        """Time since the first step began, without the evaluation before it; of a continued training, all parts."""
        self.n_tokens = 0
        """Tokens trained on, without padding, in all processes."""
        self.waited = 0.0
        """Time in which the device waited for examples."""

    def resume(self, seconds: float, n_tokens: int) -> None:
        """Count the time and tokens of the steps before the checkpoint."""
        self.seconds, self.n_tokens = seconds, n_tokens

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the body as time waiting for examples."""
        began = time.monotonic()
        yield
        self.waited += time.monotonic() - began

    @property
    def tokens_per_second(self) -> float:
        """Tokens without padding, of all processes, a second."""
        return self.n_tokens / max(self.seconds, 1e-9)

    @property
    def utilisation(self) -> float:
        """Model FLOPs utilisation: operations of the model a second over the hardware's in a matrix product."""
        return self.tokens_per_second * self.operations_per_token / self.peak

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock at the first step."""
        self.began = self.began or time.monotonic() - self.seconds

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Record the seconds since the first step began."""
        self.seconds = time.monotonic() - (self.began or 0.0)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Log the held-out loss or the loss of the steps since the last line."""
        logs = (logs or {}) if state.is_world_process_zero else {}
        if "eval_loss" in logs:
            log.info("step=%d held_out_loss=%.3f", state.global_step, logs["eval_loss"])
        if "loss" not in logs:
            return
        log.info(
            "step=%d/%d loss=%.3f learning_rate=%.1e tokens_per_s=%.0f mfu=%.0f%% memory_gib=%.1f waiting=%.0f%% "
            "eta_s=%.0f",
            state.global_step,
            state.max_steps,
            logs["loss"],
            logs["learning_rate"],
            self.tokens_per_second,
            100 * self.utilisation,
            peak_memory_mib() / 1024,
            100 * self.waited / max(self.seconds, 1e-9),
            self.seconds / state.global_step * (state.max_steps - state.global_step),
        )


def operations_per_token(n_weights: int, is_full: bool) -> float:
    """Return the floating-point operations that a token costs, forward and backward, without attention.

    A weight costs two in the forward pass and two for the gradient of its input, and in a full finetune two more for
    its own gradient. Recomputed activations do not count: the figure is the work that the model needs.
    """
    return (6 if is_full else 4) * n_weights


def matrix_product_rate(dtype: str) -> float:
    """Measure the operations per second of a large matrix product on this process's device, within a second."""
    n, device = (8192, "cuda") if torch.cuda.is_available() else (1024, "cpu")
    a, b = (torch.randn(n, n, device=device, dtype=getattr(torch, dtype)) for _ in range(2))
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        (a @ b)[0, 0].item()
        seconds.append(time.perf_counter() - began)
    return float(2 * n**3 / min(seconds))


def peak_memory_mib() -> float:
    """Return the peak memory of the GPU, or of this process if there is none, in MiB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # Linux counts it in KiB
