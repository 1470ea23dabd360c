"""FSDP2: weights, gradients and the optimizer's moments shared by the processes of a training.

Each decoder layer is gathered before it computes and dropped after. What is saved are the whole tensors, so that files
and checkpoints are the same with any number of processes.
"""

from typing import Any

import torch
from torch.distributed import get_world_size
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map

from model_ops.training.layers import decoder_layers


def shard(model: Any) -> None:
    """Replace the weights of a model by this process's shares of them, on this process's device.

    The weights must be equal in all processes. They keep their number formats, in which they are gathered too, so that
    the arithmetic is that of one process.
    """
    mesh = init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (get_world_size(),))
    for layer in decoder_layers(model):
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def gathered(state: Any, *, keep: bool) -> Any:
    """Return a nested state with whole tensors in the CPU's memory in place of shares; None where `keep` is not set.

    Every process must call this, since each tensor is gathered from all of them.
    """

    def whole(value: Any) -> Any:
        value = value.full_tensor() if isinstance(value, DTensor) else value
        return (value.cpu() if isinstance(value, torch.Tensor) else value) if keep else None

    return tree_map(whole, state)


def trained_weights(model: Any, *, keep: bool) -> dict[str, Any]:
    """Return the `gathered` weights that are trained."""
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    state: dict[str, Any] = gathered({k: v for k, v in model.state_dict().items() if k not in frozen}, keep=keep)
    return state


def share_moments(optimizer: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return an optimizer's state with this process's shares of its moments, cut as the weights are."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]

    def share(value: Any, weight: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.shape != weight.shape:
            return value  # e.g. the number of steps
        return distribute_tensor(value.to(weight.device), weight.device_mesh, weight.placements, src_data_rank=None)

    moments = {i: {name: share(v, weights[i]) for name, v in one.items()} for i, one in state["state"].items()}
    return state | {"state": moments}
