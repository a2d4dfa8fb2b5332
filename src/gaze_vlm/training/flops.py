"""Floating-point operations: those that a batch takes, and those that a device can do in a second."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from lightning.fabric.utilities.throughput import _plugin_to_compute_dtype, get_available_flops
from lightning.pytorch.plugins.precision import Precision
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class FlopCount(TorchDispatchMode):
    """Count the operations of matrix products, convolutions and torch's attention while it is entered.

    They are counted by torch's own formulas, as they run: backward passes and what gradient checkpointing computes
    again are among them. Other operations, and attention of other libraries' kernels, count as none.
    """

    supports_higher_order_operators = True
    total = 0
    refused = ""  # why some are not counted

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        formula: Callable[..., int] | None = flop_registry.get(getattr(func, "overloadpacket", None))
        if formula is not None:
            try:
                self.total += formula(*args, **(kwargs or {}), out_val=out)
            except Exception as error:  # of torch's formulas: no count is worth a training
                self.refused = f"{func}: {error!r}"
        return out


def known_peak(device: torch.device, precision: Precision) -> float | None:
    """Return what Lightning's table says that a device can do in a second; None where it does not know the device."""
    if device.type != "cuda":
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a device that it does not know
        return get_available_flops(device, _plugin_to_compute_dtype(precision))
