"""Training with adapters by our trainer and by TRL's SFTTrainer: tokens/s, and the loss of each step.

python -m benchmarks.finetuning_against_trl MODEL_FOLDER

Both train adapters of rank 16 on all linear layers, without dropout and with a constant learning rate, on the same
examples in the same order, and neither computes activations again. TRL runs twice, with padded and with packed rows;
the faster run is the peer. Losses are compared with padded rows, whose steps have the same examples. Our rows are
those of `packing = "auto"`. Every run is a process, with the same threads.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.curves import WARM_UP
from benchmarks.finetuning import SETTINGS, examples, measured
from model_ops.training.dataset import Example
from model_ops.training.settings import TrainingSettings

PEER = Path(__file__).with_name("trl_finetuning.py")


def settings_of(options: argparse.Namespace) -> TrainingSettings:
    """Return the settings of the command line; a constant learning rate, since the schedules differ."""
    changes = {
        "dropout": 0.0,
        "final_learning_rate": SETTINGS.learning_rate,
        "batch_size": options.batch,
        "small_batch_size": options.batch,
        "micro_batch_size": options.micro_batch,
        "gradient_checkpointing": "none",
        "packing": "auto",
        "max_length": options.longest,
        "dtype": options.dtype,
    }
    return SETTINGS.model_copy(update=changes)


def ours(model: Path, settings: TrainingSettings, train: list[Example]) -> dict[str, Any]:
    """Train by our trainer in this process."""
    from benchmarks.curves import recorded

    with recorded() as curve:
        measured(model, settings, train, limit=1.0)
    return {"losses": curve.losses, "tokens_per_second": curve.tokens_per_second}


def peers(
    command: Sequence[str], model: Path, settings: TrainingSettings, file: Path, *, packing: bool
) -> dict[str, Any]:
    """Train by TRL in a process."""
    given = settings.model_dump(mode="json") | {"packing": packing, "warm_up": WARM_UP}
    words = [*command, str(PEER), str(model), str(file), json.dumps(given)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} {PEER.name} failed: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def in_order(settings: TrainingSettings, train: list[Example]) -> list[Example]:
    """Return the examples in the order in which our trainer takes them."""
    from model_ops.training.steps import Steps

    steps = Steps(train, settings, 0, 0, 1)
    return [train[i] for step in range(len(steps)) for i in steps.members(step)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both speeds, their ratio and the largest difference of a step's losses."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetuning_against_trl", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a model")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=4, help="examples per step")
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--longest", type=int, default=512, help="maximum length of an example in tokens")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--peer", default="uv run --no-project", help="command that runs the peer's script")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    settings = settings_of(options)
    train = examples(options.steps * options.batch, options.longest)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "examples.jsonl")
        file.write_text("".join(f"{json.dumps(vars(one))}\n" for one in in_order(settings, train)))
        trl = {
            rows: peers(options.peer.split(), options.model, settings, file, packing=rows == "packed")
            for rows in ("padded", "packed")
        }
    mine = ours(options.model, settings, train)
    best = max(trl, key=lambda rows: trl[rows]["tokens_per_second"])
    speed, peer = mine["tokens_per_second"], trl[best]["tokens_per_second"]
    difference = max(abs(a - b) for a, b in zip(mine["losses"], trl["padded"]["losses"], strict=True))
    for rows, result in trl.items():
        sys.stdout.write(f"TRL, {rows}: {result['tokens_per_second']:,.1f} tokens/s\n")
    sys.stdout.write(f"ours: {speed:,.1f} tokens/s, {speed / peer:.2f} times TRL's {best} rows\n")
    for step, pair in enumerate(zip(mine["losses"], trl["padded"]["losses"], strict=True), 1):
        sys.stdout.write(f"step {step}: loss {pair[0]:.5f}, TRL {pair[1]:.5f}\n")
    sys.stdout.write(f"largest difference of a step's losses: {difference:.1e}\n")
    if options.record:
        name = f"lora, {options.dtype}, examples of at most {options.longest} tokens"
        found = [
            results.Found(name, speed, "tokens/s", peer, f"TRL 1.16, {best}"),
            results.Found(f"{name}, largest difference from TRL's loss in {options.steps} steps", difference, "nats"),
        ]
        results.record(results.command_of("finetuning_against_trl", arguments), found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
