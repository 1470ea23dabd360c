"""The model that is trained: the base model, whole or with adapters, with the kernels that the settings ask for."""

import re
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn import Linear
from transformers import AutoConfig, AutoModelForCausalLM

from model_ops.devices import Dtype
from model_ops.training.settings import TrainingError, TrainingSettings
from model_ops.training.switches import compile_layers, quantization, use_liger

# Names of dropout settings across architectures; a full finetune sets those that the model has.
DROPOUTS = ("attention_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop", "hidden_dropout")


def load(folder: Path, dtype: torch.dtype, **options: Any) -> Any:
    """Load a local model in a number format; `options` are passed to transformers."""
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True, **options
    )


def trainable(settings: TrainingSettings, base: Path, dtype: Dtype, longest: int) -> Any:
    """Load the base model for a training whose longest example has `longest` tokens, with adapters if they are trained.

    Raises:
        TrainingError: the model cannot be trained as the settings ask.
    """
    is_full, number = settings.method == "full", getattr(torch, dtype)
    model = _with_dropout(base, settings.dropout) if is_full else load(base, number, **quantization(settings, number))
    positions = getattr(model.config, "max_position_embeddings", longest)
    if longest > positions:
        raise TrainingError(f"{base} takes {positions:,} tokens, the longest example has {longest:,}; lower max_length")
    if "logits_to_keep" not in signature(model.forward).parameters:
        raise TrainingError(f"{base}: {type(model).__name__} cannot limit its logits to the completion")
    if settings.kernels == "liger":
        use_liger(model)
    model = model if is_full else _with_adapters(model, settings, base, dtype)
    if settings.compile:
        compile_layers(model)
    return model


def _with_dropout(base: Path, dropout: float) -> Any:
    """Load the base model in float32, with `dropout` in every dropout setting that its configuration has."""
    config = AutoConfig.from_pretrained(base, local_files_only=True)
    for name in DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, dropout)
    return load(base, torch.float32, config=config)


def _with_adapters(model: Any, settings: TrainingSettings, base: Path, dtype: str) -> Any:
    n_layers, first = model.config.num_hidden_layers, settings.lora_layers_from
    if first >= n_layers:
        raise TrainingError(f"{base} has {n_layers} layers; lora_layers_from = {first} leaves none to train")
    adapted = get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            target_modules=_linear_from(model, first) if first else "all-linear",
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.dropout,
        ),
    )
    for module in adapted.modules():
        if dtype == "bfloat16" and isinstance(module, BaseTunerLayer):
            # Adapters are float32. peft would cast their inputs to float32, only for autocast to cast them back.
            module.cast_input_dtype_enabled = False
    return adapted


def _linear_from(model: Any, first: int) -> list[str]:
    """Name the linear modules of the layers from `first` on; peft's `layers_to_transform` rejects all-linear."""
    layer = {name: re.search(r"\.(\d+)\.", name) for name, m in model.named_modules() if isinstance(m, Linear)}
    return [name for name, number in layer.items() if number and int(number[1]) >= first]
