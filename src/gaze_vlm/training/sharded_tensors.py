"""Tensors that processes hold in shards: this process's shard, and the way from the whole to it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer


def own_shard(tensor: Tensor) -> Tensor:
    """Return this process's shard of a tensor; one that is not sharded as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def sharded_like(tensor: Tensor, example: Tensor) -> Tensor:
    """Return a tensor on the device of an example, sharded as that is; one that is sharded already as it is.

    No process sends anything: each has the whole, and keeps its shard.
    """
    if isinstance(tensor, DTensor):
        return tensor
    tensor = tensor.to(example.device)
    if not isinstance(example, DTensor):
        return tensor
    with torch.no_grad():
        return distribute_tensor(tensor, example.device_mesh, example.placements, src_data_rank=None)


def optimized_parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """List an optimiser's parameters, in the order of their numbers in its state."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def sharded_state(state: Mapping[str, Any], parameter: nn.Parameter) -> dict[str, Any]:
    """Return an optimiser's state of a parameter: what has the parameter's shape is sharded as it is."""
    return {
        name: sharded_like(value, parameter) if getattr(value, "shape", None) == parameter.shape else value
        for name, value in state.items()
    }
