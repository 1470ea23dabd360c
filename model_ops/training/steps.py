"""The steps of a training: the examples of each optimizer step, and the forward passes that compute them.

Everything is a function of the step's number, so that a training continues after any step without replaying data.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.utils.data import Dataset

from model_ops.training.dataset import Example, training_order
from model_ops.training.loss import IGNORED, collate, pack
from model_ops.training.memory import Pass
from model_ops.training.settings import TrainingSettings


@dataclass(frozen=True)
class Step:
    """The forward passes of one process in one optimizer step."""

    passes: list[dict[str, Any]]
    n_tokens: int
    """Completion tokens of the step in all processes."""
    n_seen: int
    """Tokens of prompts and completions in all processes, without padding."""


class Steps(Dataset[Step]):
    """The optimizer steps of a whole training, in order, as one of `n_processes` processes sees them.

    The examples of a step are dealt to the processes by length. All processes have the same number of passes, since
    each pass may communicate; a process with fewer gets passes without weight.
    """

    def __init__(
        self, examples: Sequence[Example], settings: TrainingSettings, pad: int, process: int, n_processes: int
    ) -> None:
        """`pad` is the padding token.

        Raises:
            TrainingError: a batch cannot be divided over the processes.
        """
        self.examples, self.settings, self.pad = examples, settings, pad
        self.process, self.n_processes = process, n_processes
        self.micro, n_passes = settings.batch_shape(len(examples), n_processes)
        self.batch_size = self.micro * n_passes * n_processes
        self.is_packed = settings.is_packed(torch.cuda.is_available())
        self.per_epoch = math.ceil(len(examples) / self.batch_size)
        self._order = lru_cache(maxsize=1)(self._order_of)

    def __len__(self) -> int:
        """Return the number of optimizer steps of the training."""
        return math.ceil(self.settings.epochs * self.per_epoch)

    def __getitem__(self, index: int) -> Step:
        """Build the step of that index, from 0."""
        members = self.members(index)
        shares = [members[process :: self.n_processes] for process in range(self.n_processes)]
        groups = [self._groups(share) for share in shares]
        n_passes = max(map(len, groups))
        passes = [self._pass(group) for group in groups[self.process]]
        while len(passes) < n_passes:
            passes.append(_without_weight(self._pass(members[-1:])))
        examples = [self.examples[i] for i in members]
        return Step(passes, sum(len(e.completion) for e in examples), sum(map(len, examples)))

    def members(self, index: int) -> list[int]:
        """Return the indices of the examples of a step, the longest first."""
        epoch, place = divmod(index, self.per_epoch)
        return self._order(epoch)[place * self.batch_size : (place + 1) * self.batch_size]

    def largest_pass(self) -> Pass:
        """Return an upper bound of the tokens of any forward pass."""
        longest = sorted(self.examples, key=len, reverse=True)[: self.micro]
        if self.is_packed:
            row = min(max(self.settings.max_length, len(longest[0])), sum(map(len, self.examples)))
            return Pass(row, row)
        n_completion = max(len(e.completion) for e in self.examples)
        return Pass(len(longest) * len(longest[0]), len(longest) * n_completion)

    def _order_of(self, epoch: int) -> list[int]:
        return training_order([len(e) for e in self.examples], self.batch_size, self.settings.seed, epoch)

    def _groups(self, share: list[int]) -> list[list[int]]:
        """Divide the examples of one process into forward passes."""
        if self.is_packed:
            rows = best_fit([len(self.examples[i]) for i in share], self.settings.max_length)
            return [[share[place] for place in row] for row in rows]
        return [share[start : start + self.micro] for start in range(0, len(share), self.micro)]

    def _pass(self, group: list[int]) -> dict[str, Any]:
        examples = [self.examples[i] for i in group]
        return pack(examples) if self.is_packed else collate(examples, self.pad)


def _without_weight(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return a pass that no token's loss enters."""
    return inputs | {"labels": torch.full_like(inputs["labels"], IGNORED)}


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Pack items into rows of at most `capacity`, the longest first, each into the fullest row that has room.

    Returns the indices of the items of each row.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        fitting = [row for row in range(len(rows)) if room[row] >= lengths[i]]
        if not fitting:
            rows.append([])
            room.append(capacity)
            fitting = [len(rows) - 1]
        row = min(fitting, key=lambda row: room[row])
        rows[row].append(i)
        room[row] -= lengths[i]
    return rows
