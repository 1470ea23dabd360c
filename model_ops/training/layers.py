"""The decoder layers of a model: the parts that are compiled, and that processes share."""

from typing import Any

from transformers.modeling_layers import GradientCheckpointingLayer

from model_ops.training.settings import TrainingError


def decoder_layers(model: Any) -> list[Any]:
    """Return the decoder layers in order.

    Raises:
        TrainingError: the model has none in transformers' form.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise TrainingError(
            f"{type(model).__name__} has no decoder layers in transformers' form; set finetune.sharding to "
            '"none" and finetune.compile to false'
        )
    return layers
