"""The files of a trained model."""

import json
import shutil
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoConfig

from model_ops.training.checkpoints import MANIFEST
from model_ops.training.completion_trainer import CompletionTrainer
from model_ops.training.trainable import load


def save(trainer: CompletionTrainer, base: Path, out: Path, end_id: int) -> None:
    """Save full weights in the base's number format, with the base's tokenizer and settings.

    Every process must call this. The model ends its answers with `end_id`.
    """
    settings = trainer.settings
    trained = out / ("adapter" if settings.method == "lora" else "float32")
    trainer.save_model(str(trained))  # in every process: the weights may be sharded over them
    # The last joint step. Connections are closed here: one that outlives its interpreter kills its process.
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()
    if not trainer.is_world_process_zero():
        return
    (trained / "training_args.bin").unlink()  # a pickle
    dtype = AutoConfig.from_pretrained(base, local_files_only=True).dtype or torch.float32
    if settings.method == "lora":
        _normalise_adapter(trained / "adapter_config.json")
        # Merged into a fresh base; adapters and their product are float32, so that each sum is rounded once.
        model = PeftModel.from_pretrained(load(base, dtype), trained).merge_and_unload()
    else:
        model = load(trained, dtype)
    model.save_pretrained(out)
    if settings.method == "full":
        shutil.rmtree(trained)
    for file in base.iterdir():
        is_index = file.name.endswith(".index.json")
        if file.suffix in {".json", ".jinja", ".model"} and file.name != MANIFEST and not is_index:
            shutil.copyfile(file, out / file.name)
    _add_end_token(end_id, out / "generation_config.json")


def _normalise_adapter(file: Path) -> None:
    """Remove the base model's path from an adapter's settings and sort its modules, for a reproducible digest."""
    config = json.loads(file.read_text())
    config |= {"base_model_name_or_path": None, "target_modules": sorted(config["target_modules"])}
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _add_end_token(end_id: int, file: Path) -> None:
    """Add `end_id` to the end tokens in a `generation_config.json`, for servers that read it."""
    config = json.loads(file.read_text()) if file.is_file() else {}
    configured = config.get("eos_token_id")
    ends = configured if isinstance(configured, list) else [configured] if configured is not None else []
    if end_id not in ends:
        file.write_text(json.dumps(config | {"eos_token_id": [end_id, *ends]}, indent=2) + "\n")
