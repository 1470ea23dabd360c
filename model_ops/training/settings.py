"""What a training is told: the recipe's finetuning settings, as JSON on the command line.

The recipe holds their defaults and checks their ranges; here every one of them must be given.
"""

import json
from dataclasses import dataclass, fields
from typing import Literal, Self

# Paper, section 3.1: batches of 32, or of 8 below 3,000 examples.
SMALL = 3000


class TrainingError(Exception):
    """A training that cannot be done as asked; the message says why and what to do."""


@dataclass(frozen=True)
class Settings:
    """How one model is trained."""

    method: Literal["lora", "full"]
    learning_rate: float
    final_learning_rate: float
    weight_decay: float
    dropout: float
    batch_size: int
    small_batch_size: int
    micro_batch_size: int
    gradient_checkpointing: bool
    """Activations are computed again on the way back, instead of being kept."""
    epochs: float
    max_length: int
    dev_examples: int
    """Held-out examples whose loss is taken before and after; 0 for none."""
    lora_rank: int
    lora_alpha: int
    lora_layers_from: int
    """The first layer that gets adapters; nothing below it is differentiated."""
    dtype: Literal["auto", "bfloat16", "float32"]
    seed: int

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The settings in a JSON object.

        Raises:
            TrainingError: no JSON object, or a setting is missing, unknown or out of range; names all.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise TrainingError(f"--settings: not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise TrainingError("--settings: not a JSON object")
        names = {field.name for field in fields(cls)}
        faults = [f"{name} is missing" for name in sorted(names - set(values))]
        faults += [f"{name} is unknown" for name in sorted(set(values) - names)]
        if not faults:
            settings = cls(**values)
            if settings.method not in ("lora", "full"):
                faults.append(f"method is {settings.method!r}, not lora or full")
            if settings.dtype not in ("auto", "bfloat16", "float32"):
                faults.append(f"dtype is {settings.dtype!r}, not auto, bfloat16 or float32")
            if settings.final_learning_rate > settings.learning_rate:
                faults.append(
                    f"final_learning_rate {settings.final_learning_rate} is above learning_rate"
                    f" {settings.learning_rate}"
                )
        if faults:
            raise TrainingError(f"--settings: {'; '.join(faults)}")
        return settings

    def batch_shape(self, n_examples: int, n_processes: int) -> tuple[int, int]:
        """Examples per forward pass on one device, and forward passes per step of the optimizer.

        They multiply, over all devices, to the paper's batch exactly; `micro_batch_size` is an
        upper bound.

        Raises:
            TrainingError: the batch cannot be divided over the devices.
        """
        batch = self.small_batch_size if n_examples < SMALL else self.batch_size
        each, rest = divmod(batch, n_processes)
        if rest or not each:
            raise TrainingError(
                f"a batch of {batch} examples cannot be divided over {n_processes} processes;"
                " set batch_size and small_batch_size to multiples of it"
            )
        micro = max(size for size in range(1, each + 1) if each % size == 0 and size <= self.micro_batch_size)
        return micro, each // micro
