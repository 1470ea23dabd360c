"""A training that has diverged: the first step with a loss or gradient that is NaN or infinite."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.distributed import all_gather_object, get_world_size, is_initialized

from model_ops.training.settings import TrainingError, TrainingSettings

SHOWN = 5


@dataclass(frozen=True)
class Divergence:
    """The first bad step, as one process or all of them see it."""

    step: int
    examples: list[str]
    """All that this step trained on."""
    bad: list[str]
    """Those whose loss is not finite; none where only the gradient is not."""


@dataclass
class Watch:
    """Collects the losses and gradients of a training on its device, which is waited for only when it is asked."""

    settings: TrainingSettings
    _step: int = 0
    _ids: list[list[str]] = field(default_factory=list)
    """The examples of each forward pass since the last look."""
    _steps: list[int] = field(default_factory=list)
    """The step that each of them belongs to."""
    _losses: list[torch.Tensor] = field(default_factory=list)
    _norms: dict[int, torch.Tensor] = field(default_factory=dict)

    def begin(self, step: int, ids: list[str]) -> None:
        """A forward pass of a step, which counts from 1, and its examples."""
        self._step = step
        self._ids.append(ids)
        self._steps.append(step)

    def losses(self, of_examples: torch.Tensor) -> None:
        """The losses of the pass that has begun."""
        self._losses.append(of_examples)

    def gradient(self, norm: Any) -> None:
        """The norm of the step's gradient: a tensor, perhaps spread over processes, or a number."""
        if norm is not None:
            self._norms[self._step] = torch.as_tensor(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def require_finite(self, n_steps: int) -> None:
        """Make sure that all losses and gradients since the last look, in all processes, are finite.

        Raises:
            TrainingError: names the first step where they are not, in every process the same.
        """
        found = _first_of_all(self._first())
        self._ids, self._steps, self._losses, self._norms = [], [], [], {}
        if found is None:
            return
        if found.bad:
            what = f"the loss of {len(found.bad):,} of its {len(found.examples):,} examples"
            which = f"is NaN or infinite: {named(found.bad)}"
        else:
            what, which = "the gradient", f"is NaN or infinite; its examples: {named(found.examples)}"
        advice = self.advice(found.step)
        raise TrainingError(f"diverged at step {found.step:,} of {n_steps:,}: {what} {which}; {advice}")

    def advice(self, step: int) -> str:
        """What to do where the forward pass of a step fails."""
        if step == 1:
            return (
                'the base model computes them so before it is trained: set dtype to "float32" if it is bfloat16, or '
                "leave them out of the data set"
            )
        return (
            f"lower learning_rate, which is {self.settings.learning_rate:g}; if it is the same examples then, leave "
            "them out of the data set"
        )

    def _first(self) -> Divergence | None:
        """What this process has seen."""
        bad_losses = [~losses.isfinite() for losses in self._losses]
        bad_norms = [~norm.isfinite().reshape(1) for norm in self._norms.values()]
        flags = [flag.to(bad_losses[0].device) for flag in (*bad_losses, *bad_norms)]
        seen = iter(torch.cat(flags).tolist() if flags else [])  # one copy from the device
        passes = [[next(seen) for _ in losses] for losses in bad_losses]
        bad_steps = {step for step in self._norms if next(seen)}
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


def _first_of_all(mine: Divergence | None) -> Divergence | None:
    """The first divergence that any process has seen, with the examples of all that have."""
    everyones: list[Divergence | None] = [mine]
    if is_initialized():
        everyones = [None] * get_world_size()
        all_gather_object(everyones, mine)
    seen = [each for each in everyones if each]
    if not seen:
        return None
    first = min(each.step for each in seen)
    here = [each for each in seen if each.step == first]
    return Divergence(first, _union([e.examples for e in here]), _union([e.bad for e in here]))


def _union(lists: Sequence[list[str]]) -> list[str]:
    return sorted({name for names in lists for name in names})


def named(ids: Sequence[str]) -> str:
    """The first few of some examples."""
    return ", ".join(ids[:SHOWN]) + (" …" if len(ids) > SHOWN else "")
