"""What is summed over many patches, words or weights is summed in 32 bits or more."""

import torch
from torch import Tensor


def upcast(values: Tensor) -> Tensor:
    """Return values in 32 bits, or in 64 where they have 64: a model in double precision stays in it to its losses."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
