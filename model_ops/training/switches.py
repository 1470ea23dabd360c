"""What the settings' switches need of the machine: processes, packages, a GPU, a compiler."""

import os
import shutil
from importlib.util import find_spec
from inspect import signature
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from model_ops.training.layers import decoder_layers
from model_ops.training.settings import TrainingError, TrainingSettings

BY_ACCELERATE = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
"""Environment variables in which `accelerate launch` asks for another way of sharing weights."""


def require(settings: TrainingSettings, n_processes: int) -> None:
    """Check that the machine has what the settings ask for.

    Raises:
        TrainingError: names everything that is missing.
    """
    faults = [*_sharding_faults(settings, n_processes), *_package_faults(settings)]
    if settings.kernels == "liger" and not torch.cuda.is_available():
        faults.append('finetune.kernels = "liger" runs on a GPU only, and there is none; set it to "none"')
    if settings.compile and not any(map(shutil.which, (os.environ.get("CXX") or "g++", "clang++"))):
        faults.append("finetune.compile needs a C++ compiler (g++ or clang++); install one, or set it to false")
    if faults:
        raise TrainingError("; ".join(faults))


def _sharding_faults(settings: TrainingSettings, n_processes: int) -> list[str]:
    faults = [
        f'{name} is set: launch without --use_fsdp and --use_deepspeed, and set finetune.sharding to "full"'
        for name in BY_ACCELERATE
        if os.environ.get(name) == "true"
    ]
    if settings.sharding == "full" and n_processes == 1:
        faults.append(
            'finetune.sharding = "full" needs several processes, and this is the only one: use '
            'accelerate launch --num_processes N -m model_ops.train …, or set it to "none"'
        )
    return faults


def _package_faults(settings: TrainingSettings) -> list[str]:
    needed = {
        "kernels": "liger-kernel" if settings.kernels == "liger" else "",
        "optimizer": "bitsandbytes" if settings.optimizer == "adamw_8bit" else "",
        "quantization": "bitsandbytes" if settings.quantization == "nf4" else "",
    }
    return [
        f'finetune.{key} = "{getattr(settings, key)}" needs the package {package}: install humpback[fast]'
        for key, package in needed.items()
        if package and find_spec(package.replace("-", "_")) is None
    ]


def quantization(settings: TrainingSettings, dtype: torch.dtype) -> dict[str, Any]:
    """Return the options with which transformers loads base weights in 4 bits, or none; products are in `dtype`."""
    if settings.quantization == "none":
        return {}
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    device = int(os.environ.get("LOCAL_RANK", 0)) if torch.cuda.is_available() else "cpu"
    return {"quantization_config": config, "device_map": {"": device}}


def use_liger(model: Any) -> None:
    """Replace a model's norms, rotary positions and feed-forward products by Liger's kernels.

    Its fused losses are left out: ours computes logits at completions only, and theirs have faults with adapters.

    Raises:
        TrainingError: Liger has no kernels for this architecture.
    """
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN

    apply = MODEL_TYPE_TO_APPLY_LIGER_FN.get(model.config.model_type)
    if apply is None:
        raise TrainingError(
            f'Liger has no kernels for models of type {model.config.model_type}; set finetune.kernels to "none"'
        )
    wanted = {"rope": True, "rms_norm": True, "swiglu": True, "geglu": True} | dict.fromkeys(
        ("cross_entropy", "fused_linear_cross_entropy"), False
    )
    apply(model=model, **{name: on for name, on in wanted.items() if name in signature(apply).parameters})


def compile_layers(model: Any) -> None:
    """Compile each decoder layer when it is first called; equal layers share the code, for rows of any length."""
    for layer in decoder_layers(model):
        layer.compile(dynamic=True)
