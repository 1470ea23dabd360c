"""Detection of a diverged training: the first step with a loss or gradient that is NaN or infinite."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.distributed import all_gather_object, get_world_size, is_initialized

from model_ops.training.settings import TrainingError, TrainingSettings

SHOWN = 5


@dataclass(frozen=True)
class Divergence:
    """The first step with a NaN or infinite value, as seen by one process or by all."""

    step: int
    examples: list[str]
    """Ids of the examples of this step."""
    bad: list[str]
    """Ids of the examples whose loss is not finite; empty if only the gradient is not."""


@dataclass
class Watch:
    """Collects losses and gradient norms on the device, and waits for the device only in `require_finite`."""

    settings: TrainingSettings
    _step: int = 0
    _ids: list[list[str]] = field(default_factory=list)
    """Example ids of each forward pass since the last check."""
    _steps: list[int] = field(default_factory=list)
    """Step of each forward pass since the last check."""
    _losses: list[torch.Tensor] = field(default_factory=list)
    _norms: dict[int, torch.Tensor] = field(default_factory=dict)

    def begin(self, step: int, ids: list[str]) -> None:
        """Record the start of a forward pass: its step, from 1, and the ids of its examples."""
        self._step = step
        self._ids.append(ids)
        self._steps.append(step)

    def losses(self, of_examples: torch.Tensor) -> None:
        """Record the loss of each example of the current forward pass."""
        self._losses.append(of_examples)

    def gradient(self, norm: Any) -> None:
        """Record the norm of the step's gradient: a tensor, possibly sharded over processes, or a number."""
        if norm is not None:
            self._norms[self._step] = torch.as_tensor(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def require_finite(self, n_steps: int) -> None:
        """Check that all losses and gradients since the last check are finite, in all processes.

        Raises:
            TrainingError: names the first step where one is not, with the same message in every process.
        """
        divergence = _first_of_all(self._first())
        self._ids, self._steps, self._losses, self._norms = [], [], [], {}
        if divergence is None:
            return
        if divergence.bad:
            what = f"the loss of {len(divergence.bad):,} of its {len(divergence.examples):,} examples"
            which = f"is NaN or infinite: {named(divergence.bad)}"
        else:
            what, which = "the gradient", f"is NaN or infinite; its examples: {named(divergence.examples)}"
        advice = self.advice(divergence.step)
        raise TrainingError(f"diverged at step {divergence.step:,} of {n_steps:,}: {what} {which}; {advice}")

    def advice(self, step: int) -> str:
        """Return advice for a forward pass at `step` whose loss is not finite."""
        if step == 1:
            return (
                'the base model computes this before any training: set dtype to "float32" if it is bfloat16, or '
                "leave them out of the data set"
            )
        return (
            f"lower learning_rate, which is {self.settings.learning_rate:g}; if it is the same examples then, leave "
            "them out of the data set"
        )

    def _first(self) -> Divergence | None:
        """Return the first divergence that this process has recorded, or None."""
        bad_losses = [~losses.isfinite() for losses in self._losses]
        bad_norms = [~norm.isfinite().reshape(1) for norm in self._norms.values()]
        flags = [flag.to(bad_losses[0].device) for flag in (*bad_losses, *bad_norms)]
        values = iter(torch.cat(flags).tolist() if flags else [])  # one copy from the device
        passes = [[next(values) for _ in losses] for losses in bad_losses]
        bad_steps = {step for step in self._norms if next(values)}
        bad_steps |= {step for step, of_pass in zip(self._steps, passes, strict=True) if any(of_pass)}
        if not bad_steps:
            return None
        first = min(bad_steps)
        rows = [
            (name, is_bad)
            for step, ids, of_pass in zip(self._steps, self._ids, passes, strict=True)
            for name, is_bad in zip(ids, of_pass, strict=True)
            if step == first
        ]
        return Divergence(first, [name for name, _ in rows], [name for name, is_bad in rows if is_bad])


def _first_of_all(own: Divergence | None) -> Divergence | None:
    """Return the first divergence of any process, with the examples of all processes that saw it."""
    gathered: list[Divergence | None] = [own]
    if is_initialized():
        gathered = [None] * get_world_size()
        all_gather_object(gathered, own)
    divergences = [divergence for divergence in gathered if divergence]
    if not divergences:
        return None
    first = min(divergence.step for divergence in divergences)
    same_step = [divergence for divergence in divergences if divergence.step == first]
    return Divergence(first, _union([e.examples for e in same_step]), _union([e.bad for e in same_step]))


def _union(lists: Sequence[list[str]]) -> list[str]:
    return sorted({name for names in lists for name in names})


def named(ids: Sequence[str]) -> str:
    """Join the first few ids for a message."""
    return ", ".join(ids[:SHOWN]) + (" …" if len(ids) > SHOWN else "")
