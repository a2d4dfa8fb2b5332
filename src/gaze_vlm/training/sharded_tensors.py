"""Tensors that processes hold in shards: this process's shard, the whole, and the way back."""

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def own_shard(tensor: Tensor) -> Tensor:
    """Return this process's shard of a tensor; one that is not sharded as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole_on_first(tensor: Tensor) -> Tensor:
    """Return the whole of a sharded tensor in the first process's host memory; one that is not sharded as it is.

    All processes must ask for it; the others get an empty one.
    """
    if not isinstance(tensor, DTensor):
        return tensor
    full = tensor.full_tensor()
    return full.cpu() if torch.distributed.get_rank() == 0 else full.new_empty(0)


def sharded_like(tensor: Tensor, example: Tensor) -> Tensor:
    """Return a whole tensor on the device of an example, sharded as that is.

    No process sends anything: each has the whole, and keeps its shard.
    """
    tensor = tensor.to(example.device)
    if not isinstance(example, DTensor):
        return tensor
    with torch.no_grad():
        return distribute_tensor(tensor, example.device_mesh, example.placements, src_data_rank=None)
