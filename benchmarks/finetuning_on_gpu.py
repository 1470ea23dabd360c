"""The trainer's switches one at a time on one GPU: adapters of rank 16 of a 7B model, packed rows of 4,096 tokens.

python -m benchmarks.finetuning_on_gpu MODEL_FOLDER

MODEL_FOLDER is the output of `python -m benchmarks.random_model demo/base --out m`. The first training has no switch
set and keeps all activations; the others differ from it by one setting each. A training that would end after the time
limit, judged by the longest one so far, is left out and named.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.finetuning import SETTINGS, examples, figures, measured
from model_ops.training.settings import TrainingError

ROW, STEPS, BATCH = 4096, 8, 48
BASE = {"packing": "on", "max_length": ROW, "gradient_checkpointing": "none", "dropout": 0.0, "dtype": "bfloat16"}
BASE |= {"batch_size": BATCH, "small_batch_size": BATCH}
ONE_AT_A_TIME: dict[str, dict[str, Any]] = {
    "no switch": {},
    "Liger's kernels": {"kernels": "liger"},
    "compiled layers": {"compile": True},
    "compiled layers and Liger's kernels": {"compile": True, "kernels": "liger"},
    "half the activations computed again": {"gradient_checkpointing": "selective"},
    "all activations computed again": {"gradient_checkpointing": "full"},
    "base weights in 4 bits": {"quantization": "nf4"},
    "moments in 8 bits": {"optimizer": "adamw_8bit"},
    "padded rows, 4 at a time": {"packing": "off"},
}
"""Name of a training -> the settings in which it differs from `BASE`, the most telling first."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one training after another until the time is used up."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetuning_on_gpu", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a model")
    parser.add_argument("--seconds", type=float, default=540, help="time limit for all trainings together")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    from model_ops.training.progress import matrix_product_rate

    logging.basicConfig(level=logging.WARNING)
    began, limit = time.perf_counter(), matrix_product_rate("bfloat16")
    train = examples(STEPS * BATCH, 1024)
    found: list[results.Found] = []
    longest = 0.0
    for name, changes in ONE_AT_A_TIME.items():
        start = time.perf_counter()
        if start - began + longest > options.seconds:
            sys.stdout.write(f"{name}: left out, the time is used up\n")
            continue
        try:
            speed = measured(options.model, SETTINGS.model_copy(update=BASE | changes), train, limit)
        except TrainingError as error:
            sys.stdout.write(f"{name}: {error}\n")
            continue
        longest = max(longest, time.perf_counter() - start)
        sys.stdout.write(
            f"{name}: {speed.tokens_per_second:,.0f} tokens/s, {speed.share:.0%} of the matrix product, "
            f"{speed.memory:.1f} GiB, {time.perf_counter() - start:.0f} s\n"
        )
        sys.stdout.flush()
        found += figures(f"lora, 7B, packed rows of 4,096, {name}", speed)
    if options.record:
        results.record(results.command_of("finetuning_on_gpu", arguments), found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
