# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["peft==0.21.2", "torch==2.13.0", "transformers==5.19.0", "trl==1.16.0"]
# ///
"""The peer of `benchmarks.finetuning_against_trl`: TRL's SFTTrainer on the same tokens, in the same order.

uv run --no-project benchmarks/trl_finetuning.py MODEL_FOLDER EXAMPLES.jsonl SETTINGS_JSON

Prints JSON: the loss of each optimizer step, and the tokens a second without padding after the first steps.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer


class Clock(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Notes when each optimizer step ends."""

    def __init__(self) -> None:
        """Start without steps."""
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())


def main() -> int:
    """Train without saving."""
    folder, file, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    examples = [json.loads(line) for line in file.read_text().splitlines()]
    rows = [
        {
            "input_ids": example["prompt"] + example["completion"],
            "completion_mask": [0] * len(example["prompt"]) + [1] * len(example["completion"]),
        }
        for example in examples
    ]
    set_seed(settings["seed"])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, settings["dtype"]))
    adapters = LoraConfig(
        task_type="CAUSAL_LM",
        target_modules="all-linear",
        r=settings["lora_rank"],
        lora_alpha=settings["lora_alpha"],
        lora_dropout=0.0,
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        trainer = SFTTrainer(
            model=get_peft_model(model, adapters),
            args=arguments(settings, out),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(folder),
            callbacks=[clock],
        )
        trainer.train()
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    warm = settings["warm_up"]
    share = (len(clock.ends) - warm) / len(clock.ends) if settings["packing"] else None
    sizes = [len(row["input_ids"]) for row in rows]
    n_tokens = sum(sizes) * share if share else sum(sizes[warm * settings["batch_size"] :])
    speed = n_tokens / (clock.ends[-1] - clock.ends[warm - 1])
    sys.stdout.write(json.dumps({"losses": losses, "tokens_per_second": speed}) + "\n")
    return 0


def arguments(settings: dict[str, Any], out: str) -> SFTConfig:
    """Return TRL's settings: its defaults but for what must be equal, and without recomputed activations."""
    micro = settings["micro_batch_size"]
    return SFTConfig(
        output_dir=out,
        packing=settings["packing"],
        max_length=settings["max_length"],
        completion_only_loss=True,
        shuffle_dataset=False,
        train_sampling_strategy="sequential",
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=settings["batch_size"] // micro,
        gradient_checkpointing=False,
        learning_rate=settings["learning_rate"],
        lr_scheduler_type="constant",
        weight_decay=settings["weight_decay"],
        num_train_epochs=1,
        bf16=settings["dtype"] == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=settings["seed"],
    )


if __name__ == "__main__":
    sys.exit(main())
