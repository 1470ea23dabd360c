"""The loss, the tokens and the end of each step of a training in this process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

WARM_UP = 2
"""Steps before the clock starts: in them, layers are compiled and memory is reserved."""


@dataclass
class Curve:
    """What a training did step by step."""

    losses: list[float] = field(default_factory=list)
    """Mean loss of a completion token, in nats."""
    tokens: list[int] = field(default_factory=list)
    """Tokens without padding."""
    ends: list[float] = field(default_factory=list)
    """Seconds at which the step's gradient was there."""

    @property
    def tokens_per_second(self) -> float:
        """Return the speed after the first steps, which have no part in it."""
        if len(self.ends) <= WARM_UP:
            raise ValueError(f"{len(self.ends)} steps are too few to time: {WARM_UP + 1} at least; raise --examples")
        return sum(self.tokens[WARM_UP:]) / (self.ends[-1] - self.ends[WARM_UP - 1])


@contextmanager
def recorded() -> Iterator[Curve]:
    """Record the steps of the trainings in the body."""
    from model_ops.training.completion_trainer import CompletionTrainer

    curve, training_step = Curve(), CompletionTrainer.training_step

    def noted(trainer: Any, model: Any, step: Any, n_tokens: Any = None) -> Any:
        loss = training_step(trainer, model, step, n_tokens)
        curve.losses.append(loss.item())  # waits for the device
        curve.ends.append(time.perf_counter())
        curve.tokens.append(step.n_seen)
        return loss

    with patch.object(CompletionTrainer, "training_step", noted):
        yield curve
