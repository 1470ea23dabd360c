"""Training speed in tokens/s and as a share of the machine's matrix product, and peak memory.

python -m benchmarks.finetuning MODEL_FOLDER --method lora full

A token counts as six operations per weight, or four with adapters, whose base weights need no gradient. Attention is
not counted: it is a small part at these lengths. On a CPU the memory is the peak of the process, so it is right for the
first training only.
"""

import argparse
import gc
import logging
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from benchmarks import results
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
    dev_examples=0,
    lora_rank=16,
    lora_alpha=32,
    lora_layers_from=0,
    dtype="auto",
    seed=0,
)


def examples(n: int, longest: int) -> list[Example]:
    """Generate `n` random examples: prompts of 30 to 80 tokens, answers of `longest` / 4 to `longest` - 80."""
    rng = random.Random(0)

    def ids(low: int, high: int) -> list[int]:
        return rng.choices(range(100, 300), k=rng.randint(low, high))

    return [Example(str(i), ids(30, 80), ids(longest // 4, longest - 80)) for i in range(n)]


def n_weights(model: Path, dtype: str) -> int:
    """Count the weights of a model."""
    from transformers import AutoModelForCausalLM

    return sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(model, dtype=dtype).parameters())


def trained(model: Path, settings: TrainingSettings, train: list[Example]) -> dict[str, float]:
    """Train, discard the model, and return the metrics."""
    from model_ops.training.fit import fit

    with tempfile.TemporaryDirectory() as out:
        checkpoints = Checkpoints(Path(out, "checkpoints"), {})
        return fit(settings, model, 0, Splits(train, []), Path(out), checkpoints).metrics


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every combination of number format, method and micro-batch size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetuning", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a model")
    parser.add_argument("--method", nargs="+", choices=["lora", "full"], default=["lora"])
    parser.add_argument("--micro-batch", type=int, nargs="+", default=[4])
    parser.add_argument("--dtype", nargs="+", choices=["auto", "bfloat16", "float32"], default=["auto"])
    parser.add_argument("--examples", type=int, default=128)
    parser.add_argument("--longest", type=int, default=1024, help="maximum length of an example in tokens")
    parser.add_argument("--gradient-checkpointing", nargs="+", choices=["none", "selective", "full"], default=["full"])
    parser.add_argument("--packing", nargs="+", choices=["on", "off"], default=["off"])
    results.add_option(parser)
    options = parser.parse_args(arguments)
    import torch

    from model_ops.devices import served_dtype
    from model_ops.training.progress import matrix_product_rate, operations_per_token

    logging.basicConfig(level=logging.WARNING)
    figures: list[results.Found] = []
    for dtype in map(served_dtype, options.dtype):
        limit, weights = matrix_product_rate(dtype), n_weights(options.model, dtype)
        sys.stdout.write(f"{weights / 1e9:.2f} billion weights, matrix product {limit / 1e12:,.3f} TFLOPS in {dtype}\n")
        switches = (options.method, options.micro_batch, options.gradient_checkpointing, options.packing)
        for method, micro, mode, packing in product(*switches):
            changes = {"method": method, "micro_batch_size": micro, "dtype": dtype, "packing": packing}
            changes["gradient_checkpointing"] = mode
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            rows = "packed" if packing == "on" else f"{micro} at a time"
            began = time.perf_counter()
            metrics = trained(
                options.model, SETTINGS.model_copy(update=changes), examples(options.examples, options.longest)
            )
            operations = operations_per_token(weights, method == "full") * metrics["tokens_per_second"]
            sys.stdout.write(
                f"{method:<5} {rows}, checkpointing={mode} {metrics['tokens_per_second']:9,.0f} tokens/s, "
                f"{operations / limit:.0%} of the peak, {metrics['peak_memory_mib'] / 1024:.1f} GiB, "
                f"{time.perf_counter() - began:.0f} s with loading and saving\n"
            )
            sys.stdout.flush()
            name = f"{method}, {dtype}, {rows}, activations computed again: {mode}"
            figures += [
                results.Found(name, metrics["tokens_per_second"], "tokens/s"),
                results.Found(f"{name}, share of the matrix product", 100 * operations / limit, "%"),
                results.Found(f"{name}, memory", metrics["peak_memory_mib"] / 1024, "GiB"),
            ]
    if options.record:
        results.record(results.command_of("finetuning", arguments), figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
