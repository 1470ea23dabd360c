"""The end of a training in the middle of a step, without a signal."""

from typing import Any

import pytest


class Killed(BaseException):
    """Ends a training as a signal would, past every `except Exception`."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int | None) -> None:
    """Make trainings end in the middle of a step, from 1; None: let them finish."""
    from model_ops.training.completion_trainer import CompletionTrainer

    monkeypatch.undo()
    training_step = CompletionTrainer.training_step

    def killed(trainer: Any, *inputs: Any, **more: Any) -> Any:
        if trainer.state.global_step + 1 == step:
            raise Killed
        return training_step(trainer, *inputs, **more)

    monkeypatch.setattr(CompletionTrainer, "training_step", killed)
