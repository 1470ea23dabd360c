"""Training speed in tokens/s and as a share of the machine's matrix product, and peak memory.

python -m benchmarks.finetuning MODEL_FOLDER --method lora full
python -m benchmarks.finetuning MODEL_FOLDER --compile off on

A token counts as six operations per weight, or four with adapters, whose base weights need no gradient. Attention is
not counted: it is a small part at these lengths. The first two steps are not counted, in which layers are compiled. On
a CPU the memory is the peak of the process, so it is right for the first training only.
"""

import argparse
import gc
import logging
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import results
from benchmarks.curves import recorded
from model_ops.training.dataset import Example, Splits
from model_ops.training.resume import Checkpoints
from model_ops.training.settings import TrainingSettings

SETTINGS = TrainingSettings(
    method="lora",
    learning_rate=1e-4,
    final_learning_rate=1e-5,
    weight_decay=0.1,
    dropout=0.1,
    batch_size=32,
    small_batch_size=32,
    micro_batch_size=4,
    gradient_checkpointing="full",
    epochs=1,
    max_length=2048,
    checkpoint_minutes=0,
    dev_examples=0,
    lora_rank=16,
    lora_alpha=32,
    lora_layers_from=0,
    dtype="auto",
    seed=0,
)
SWITCHES: dict[str, tuple[str, ...]] = {
    "gradient_checkpointing": ("full", "none", "selective"),
    "packing": ("off", "on"),
    "compile": ("off", "on"),
    "kernels": ("none", "liger"),
    "optimizer": ("adamw", "adamw_8bit"),
    "quantization": ("none", "nf4"),
}
"""Setting -> its values, of which the first is measured unless the command names others."""


@dataclass(frozen=True)
class Speed:
    """The figures of one training."""

    tokens_per_second: float
    share: float
    """Of the operations a second of a matrix product."""
    memory: float
    """Peak memory in GiB."""


def examples(n: int, longest: int) -> list[Example]:
    """Generate `n` random examples: prompts of 30 to 80 tokens, answers of `longest` / 4 to `longest` - 80."""
    rng = random.Random(0)

    def ids(low: int, high: int) -> list[int]:
        return rng.choices(range(100, 300), k=rng.randint(low, high))

    return [Example(str(i), ids(30, 80), ids(longest // 4, longest - 80)) for i in range(n)]


def n_weights(model: Path) -> int:
    """Count the weights of a model, without loading them."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model, local_files_only=True))
    return sum(p.numel() for p in empty.parameters())


def measured(model: Path, settings: TrainingSettings, train: list[Example], limit: float) -> Speed:
    """Train without saving the model; `limit` is the rate of a matrix product in operations a second."""
    import torch

    from model_ops.training import fit
    from model_ops.training.progress import operations_per_token

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with (
        recorded() as curve,
        patch.object(fit, "save"),
        patch.object(fit, "load"),
        patch.object(fit, "_reference", return_value=[]),
        tempfile.TemporaryDirectory() as out,
    ):
        metrics = fit.fit(
            settings, model, 0, Splits(train, []), Path(out), Checkpoints(Path(out, "checkpoints"), {})
        ).metrics
    operations = operations_per_token(n_weights(model), settings.method == "full") * curve.tokens_per_second
    return Speed(curve.tokens_per_second, operations / limit, metrics["peak_memory_mib"] / 1024)


def figures(name: str, speed: Speed) -> list[results.Found]:
    """Return the figures of a training under a name."""
    return [
        results.Found(name, speed.tokens_per_second, "tokens/s"),
        results.Found(f"{name}, share of the matrix product", 100 * speed.share, "%"),
        results.Found(f"{name}, memory", speed.memory, "GiB"),
    ]


def variants(options: argparse.Namespace) -> Iterator[tuple[str, TrainingSettings]]:
    """Yield the name and the settings of every combination that the command asks for."""
    names = ("method", "micro_batch", "dtype", *SWITCHES)
    for values in product(*(getattr(options, name) for name in names)):
        chosen: dict[str, Any] = dict(zip(names, values, strict=True))
        micro, packed = chosen.pop("micro_batch"), chosen["packing"] == "on"
        rows = "packed" if packed else f"{micro} at a time"
        name = f"{chosen['method']}, {chosen['dtype']}, {rows}, activations computed again: "
        name += chosen["gradient_checkpointing"]
        others = [k for k in SWITCHES if k not in ("gradient_checkpointing", "packing")]
        name += "".join(f", {k}: {chosen[k]}" for k in others if chosen[k] != SWITCHES[k][0])
        chosen |= {"micro_batch_size": micro, "compile": chosen["compile"] == "on"}
        yield name, SETTINGS.model_copy(update=chosen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every combination of number format, method, micro-batch size and switches."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetuning", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a model")
    parser.add_argument("--method", nargs="+", choices=["lora", "full"], default=["lora"])
    parser.add_argument("--micro-batch", type=int, nargs="+", default=[4])
    parser.add_argument("--dtype", nargs="+", choices=["auto", "bfloat16", "float32"], default=["auto"])
    parser.add_argument("--examples", type=int, default=128, help="32 a step")
    parser.add_argument("--longest", type=int, default=1024, help="maximum length of an example in tokens")
    for name, values in SWITCHES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", nargs="+", choices=values, default=[values[0]])
    results.add_option(parser)
    options = parser.parse_args(arguments)
    from model_ops.devices import served_dtype
    from model_ops.training.progress import matrix_product_rate

    logging.basicConfig(level=logging.WARNING)
    options.dtype = [*map(served_dtype, options.dtype)]
    limits = {dtype: matrix_product_rate(dtype) for dtype in options.dtype}
    for dtype, limit in limits.items():
        sys.stdout.write(f"matrix product {limit / 1e12:,.3f} TFLOPS in {dtype}\n")
    found: list[results.Found] = []
    for name, settings in variants(options):
        began = time.perf_counter()
        speed = measured(options.model, settings, examples(options.examples, options.longest), limits[settings.dtype])
        sys.stdout.write(
            f"{name}: {speed.tokens_per_second:,.0f} tokens/s, {speed.share:.0%} of the matrix product, "
            f"{speed.memory:.1f} GiB, {time.perf_counter() - began:.0f} s in all\n"
        )
        sys.stdout.flush()
        found += figures(name, speed)
    if options.record:
        results.record(results.command_of("finetuning", arguments), found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
