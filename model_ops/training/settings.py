"""The settings of a training: a section of the recipe, and JSON on the trainer's command line."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from model_ops.devices import DtypeSetting
from model_ops.serving.settings import LORA_RANKS

SPEED_ONLY = frozenset(
    {
        "micro_batch_size",
        "gradient_checkpointing",
        "packing",
        "sharding",
        "compile",
        "kernels",
        "checkpoint_minutes",
        "checkpoint_steps",
        "report_to",
    }
)
"""Settings that change a training's speed and memory, and its result by rounding only."""
ADDED = {"optimizer": "adamw", "quantization": "none"}
"""Later setting -> its default. Digests leave out the default, so that models from before the setting stay current."""

# Paper, section 3.1: batches of 32, or of 8 below 3,000 examples.
SMALL = 3000


class TrainingError(Exception):
    """A training that cannot be done as asked; the message says why and what to do."""


def result_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Return those of the settings, in their JSON form, that determine the trained model."""
    return {k: v for k, v in values.items() if k not in SPEED_ONLY and not (k in ADDED and v == ADDED[k])}


def _mode_of_flag(value: Any) -> Any:
    """Return the mode for a flag of release 0.3.0 and before."""
    return {True: "full", False: "none"}[value] if isinstance(value, bool) else value


class TrainingSettings(BaseModel):
    """Settings of the training of one model; the recipe's defaults are those of the paper (section 3.1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["lora", "full"] = Field("full", description="train adapters (lora) or all weights (paper)")
    learning_rate: float = Field(1e-5, gt=0, description="learning rate at the first step (paper, section 3.1)")
    final_learning_rate: float = Field(
        9e-6,
        ge=0,
        validate_default=True,
        description="learning rate at the last step; linear decay (paper, section 3.1)",
    )
    weight_decay: float = Field(0.1, ge=0, description="weight decay of the optimizer (paper, section 3.1)")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout probability (paper, section 3.1)")
    batch_size: int = Field(32, ge=1, description="examples per step of the optimizer (paper, section 3.1)")
    small_batch_size: int = Field(
        8, ge=1, description=f"batch size below {SMALL:,} training examples (paper, section 3.1)"
    )
    micro_batch_size: int = Field(4, ge=1, description="examples per forward pass on one device, at most")
    packing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="on: examples share rows of max_length tokens without padding; off: rows of similar length are "
        "padded, micro_batch_size at a time; auto: on with a GPU",
    )
    gradient_checkpointing: Annotated[Literal["auto", "none", "selective", "full"], BeforeValidator(_mode_of_flag)] = (
        Field(
            "auto",
            description="layers whose activations are computed again in the backward pass instead of kept in memory: "
            "none, every second (selective), all (full), or the fewest that the memory allows (auto)",
        )
    )
    sharding: Literal["none", "full"] = Field(
        "none",
        description="full: the processes share weights, gradients and the optimizer's moments (FSDP2), for a model "
        "that does not fit on one GPU; none: each process holds all of them",
    )
    compile: bool = Field(
        False, description="compile the decoder layers with torch.compile; off because its gain is not yet measured"
    )
    kernels: Literal["none", "liger"] = Field(
        "none",
        description="liger: fused kernels of the package liger-kernel for norms, rotary positions and feed-forward "
        "layers, on a GPU only; none is the default because their gain is not yet measured",
    )
    report_to: Literal["none", "tensorboard", "mlflow"] = Field(
        "none", description="program that receives the losses while training, if its package is installed"
    )
    epochs: float = Field(3.0, gt=0, description="passes over the training set (paper, table 18: about 3)")
    max_length: int = Field(2048, ge=16, description="longest example, in tokens; a longer one ends the training")
    checkpoint_minutes: float = Field(
        10.0, ge=0, description="minutes between checkpoints, from which a killed training continues; 0: none"
    )
    checkpoint_steps: int = Field(
        0, ge=0, description="optimizer steps between checkpoints, besides the minutes; 0: none"
    )
    dev_examples: int = Field(
        256, ge=0, description="held-out examples whose loss is measured before and after the training"
    )
    optimizer: Literal["adamw", "adamw_8bit"] = Field(
        "adamw",
        description="adamw_8bit: AdamW with moments in 8 bits (package bitsandbytes), 10 bytes per trained weight "
        "instead of 16; adamw: moments in 32 bits",
    )
    quantization: Literal["none", "nf4"] = Field(
        "none",
        description="nf4: train adapters on base weights in 4 bits (QLoRA, package bitsandbytes), then merge them into "
        "the base in its number format; none: train on the base as it is",
    )
    lora_rank: int = Field(16, ge=1, le=LORA_RANKS[-1], description="rank of the adapters; the maximum is vLLM's")
    lora_alpha: int = Field(32, ge=1, description="scale of the adapters")
    lora_layers_from: int = Field(0, ge=0, description="first layer with an adapter; lower layers get no gradient")
    dtype: DtypeSetting = Field("auto", description="number format of the weights; auto: the fastest on the device")
    seed: int = Field(0, description="seed of initialisation, dropout and the order of the examples")

    @field_validator("final_learning_rate")
    @classmethod
    def _decays(cls, value: float, info: ValidationInfo) -> float:
        if value > info.data.get("learning_rate", value):
            raise ValueError(f"{value} is above learning_rate {info.data['learning_rate']}")
        return value

    @field_validator("quantization")
    @classmethod
    def _quantizes_a_frozen_base(cls, value: str, info: ValidationInfo) -> str:
        if value == "none":
            return value
        if info.data.get("method", "lora") != "lora":
            raise ValueError(f'{value} is for adapters: set method to "lora", or quantization to "none"')
        if info.data.get("sharding", "none") != "none":
            raise ValueError(f'{value} weights cannot be shared by processes: set sharding to "none"')
        return value

    @field_validator("optimizer")
    @classmethod
    def _steps_on_whole_weights(cls, value: str, info: ValidationInfo) -> str:
        if value != "adamw" and info.data.get("sharding", "none") != "none":
            raise ValueError(f'{value} cannot update weights that processes share: set sharding to "none"')
        return value

    def result_settings(self) -> dict[str, Any]:
        """Return the settings that determine the trained model."""
        return result_settings(self.model_dump(mode="json"))

    def is_packed(self, has_gpu: bool) -> bool:
        """Return whether examples share rows."""
        return has_gpu if self.packing == "auto" else self.packing == "on"

    def batch_shape(self, n_examples: int, n_processes: int) -> tuple[int, int]:
        """Return the examples per forward pass on one device, and the forward passes per optimizer step.

        Their product over all devices is exactly the batch size; `micro_batch_size` is an upper bound.

        Raises:
            TrainingError: the batch cannot be divided over the devices.
        """
        batch = self.small_batch_size if n_examples < SMALL else self.batch_size
        share, remainder = divmod(batch, n_processes)
        if remainder or not share:
            raise TrainingError(
                f"a batch of {batch} examples cannot be divided over {n_processes} processes;"
                " set batch_size and small_batch_size to multiples of it"
            )
        micro = max(size for size in range(1, share + 1) if share % size == 0 and size <= self.micro_batch_size)
        return micro, share // micro


def parse_settings(text: str) -> TrainingSettings:
    """Parse settings from a JSON object that must give every one, so that no default of this version applies.

    Raises:
        TrainingError: the text is not a JSON object, or settings are missing, unknown or out of range; names all.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise TrainingError(f"--settings: not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise TrainingError("--settings: not a JSON object")
    faults = [f"{name} is missing" for name in TrainingSettings.model_fields if name not in values]
    try:
        settings = TrainingSettings.model_validate(values)
    except ValidationError as error:
        # Errors in the default of a missing setting are not reported.
        wrong = [e for e in error.errors() if e["loc"][0] in values]
        faults += [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong]
        raise TrainingError(f"--settings: {'; '.join(faults)}") from error
    if faults:
        raise TrainingError(f"--settings: {'; '.join(faults)}")
    return settings
