"""The memory that a training needs, estimated before the first step, and the checkpointing of activations that fits.

Two trainings of a 7B model with adapters on an H100 were measured: 45 GiB without checkpointing for 4 x 1,024 tokens
(estimate: 41), and 20 GiB with full checkpointing for 8 x 1,024 (estimate: 19).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model_ops.training.settings import TrainingError

Recomputed = Literal["none", "selective", "full"]
MODES: tuple[Recomputed, ...] = ("none", "selective", "full")
"""Layers whose activations are computed again in the backward pass: none, every second one, or all."""
USABLE = 0.85
"""Share of a device's memory that the estimate may fill; the rest is for fragments, libraries and its error."""
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Weights:
    """The weights of a training, before they are shared by its processes."""

    frozen_bytes: int
    n_trained: int
    """Weights with a gradient and two moments of AdamW."""
    bytes_per_trained: int = 16
    """Weight, gradient and two moments: 16 in float32, 10 with the moments in 8 bits."""
    n_processes: int = 1
    """Processes that share the weights."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that its memory depends on."""

    weights: Weights
    n_layers: int
    hidden: int
    inner: int
    """Width of the feed-forward layers."""
    keys: int
    """Width of the keys, and of the values, of a layer."""
    vocabulary: int
    bytes_per_number: int
    """Of an activation: 2 in bfloat16, 4 in float32."""


@dataclass(frozen=True)
class Pass:
    """The tokens of the largest forward pass of one process."""

    n_tokens: int
    n_completion: int
    """Positions whose logits are computed."""


def shape_of(config: Any, weights: Weights, bytes_per_number: int) -> Shape:
    """Read the sizes from a model's configuration; sizes that it does not have are those of a plain transformer."""
    hidden = config.hidden_size
    n_heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or hidden // n_heads
    return Shape(
        weights=weights,
        n_layers=config.num_hidden_layers,
        hidden=hidden,
        inner=getattr(config, "intermediate_size", None) or 4 * hidden,
        keys=head * (getattr(config, "num_key_value_heads", None) or n_heads),
        vocabulary=config.vocab_size,
        bytes_per_number=bytes_per_number,
    )


def needed_bytes(shape: Shape, largest: Pass, mode: Recomputed) -> int:
    """Estimate the peak memory of a training step.

    A layer keeps for each token its
    inputs of the projections, queries, keys, values and the feed-forward products, and in float32 the inputs of its
    two norms. A layer that is computed again keeps its input only; one such layer at a time is whole. A position with
    a logit takes the logits, their float32 copy and its gradient.
    """
    layer = shape.bytes_per_number * (6 * shape.hidden + 2 * shape.keys + 4 * shape.inner) + 16 * shape.hidden
    whole = {"none": shape.n_layers, "selective": shape.n_layers // 2 + 1, "full": 1}[mode]
    inputs = (shape.n_layers - whole) * shape.bytes_per_number * shape.hidden
    logits = largest.n_completion * shape.vocabulary * (shape.bytes_per_number + 8)
    return _fixed_bytes(shape) + largest.n_tokens * (whole * layer + inputs) + logits


def _fixed_bytes(shape: Shape) -> int:
    """Estimate the memory for weights, gradients and moments.

    Of weights that processes share, the embeddings are whole, and two layers: one in use, and the next being gathered.
    """
    weights = shape.weights
    fixed = weights.frozen_bytes + weights.bytes_per_trained * weights.n_trained
    if weights.n_processes == 1:
        return fixed
    stored = weights.frozen_bytes + 4 * weights.n_trained
    embeddings = min(2 * shape.vocabulary * shape.hidden * shape.bytes_per_number, stored)
    return fixed // weights.n_processes + embeddings + 2 * (stored - embeddings) // shape.n_layers


def fitting_mode(shape: Shape, largest: Pass, available: int) -> Recomputed:
    """Return the checkpointing that computes least and fits into `available` bytes.

    Raises:
        TrainingError: none fits; names the largest pass that would.
    """
    budget = int(USABLE * available)
    for mode in MODES:
        if needed_bytes(shape, largest, mode) <= budget:
            return mode
    raise TrainingError(too_large(shape, largest, "full", available))


def too_large(shape: Shape, largest: Pass, mode: Recomputed, available: int) -> str:
    """Return the message for a training that does not fit: what it needs, what there is, and what would fit."""
    needed, budget = needed_bytes(shape, largest, mode), int(USABLE * available)
    fixed = needed_bytes(shape, Pass(0, 0), mode)
    start = (
        f"a step needs some {needed / 1e9:.1f} GB, of which {fixed / 1e9:.1f} for weights, gradients and moments; "
        f"{available / 1e9:.1f} GB are there"
    )
    if fixed >= budget:
        return (
            f'{start}; train adapters (finetune.method = "lora"), or share the weights among several GPUs: '
            'finetune.sharding = "full" and accelerate launch --num_processes N -m model_ops.train ...'
        )
    fitting = int(largest.n_tokens * (budget - fixed) / (needed - fixed))
    return (
        f"{start}; {fitting:,} tokens of {largest.n_tokens:,} in a forward pass would fit: lower "
        "finetune.micro_batch_size or finetune.max_length"
    )


def free_bytes() -> int:
    """Return the machine's free memory, or the limit of its container if that is less."""
    fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024
    limit = CGROUP.read_text().strip() if CGROUP.is_file() else "max"
    return free if limit == "max" else min(free, int(limit))
