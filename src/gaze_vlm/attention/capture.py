"""Queries and keys of a model's attention layers, captured without leaving the fast attention path.

The model runs scaled-dot-product attention as always. A captured layer also keeps references to its queries and keys.
The distribution over patches is computed from them afterwards, outside the model and in fp32: inside the layer it would
be computed twice under gradient checkpointing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

CAPTURING_SDPA = "gaze_vlm_sdpa"
Captured = tuple[Tensor, Tensor, float]
"""Query [image, head, query, d], key [image, key head, key, d] and scaling of one call of a module."""
Sink = Callable[[Captured], None]


def _capturing_sdpa(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The library's SDPA; a module that has a `sink` also gives it query, key and scaling, once a call: some towers
    attend to one image at a time."""
    sink: Sink | None = getattr(module, "sink", None)
    if sink is not None:
        sink((query, key, query.shape[-1] ** -0.5 if scaling is None else scaling))
    return sdpa_attention_forward(  # the signature is the library's, its keywords pass through
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
    )


AttentionInterface.register(CAPTURING_SDPA, _capturing_sdpa)
AttentionMaskInterface.register(CAPTURING_SDPA, sdpa_mask)  # without it the library drops the mask silently


def use_capturing_attention(model: nn.Module) -> None:
    """Set a model of `transformers`, or a tower of one, to the attention that can be captured."""
    if model.config._attn_implementation != CAPTURING_SDPA:  # type: ignore[union-attr]
        model.set_attn_implementation(CAPTURING_SDPA)  # type: ignore[operator]


class AttentionCapture:
    """Captures attention modules of a model.

    It was loaded with `attn_implementation=CAPTURING_SDPA`.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = modules
        self.kept: list[list[Captured]] = [[] for _ in modules]

    @contextmanager
    def capturing(self, sinks: Sequence[Sink] = ()) -> Iterator[None]:
        """Capture a forward pass within; generation outside runs untouched.

        Args:
            sinks: take each module's captures, call by call; without them they are kept for `pop`.
        """
        for module, sink in zip(self.modules, sinks or self.keep(), strict=True):
            module.sink = sink  # type: ignore[assignment]
        try:
            yield
        finally:
            for module in self.modules:
                del module.sink

    def keep(self) -> list[Sink]:
        """Forget what was captured, and return sinks that keep what will be."""
        for calls in self.kept:
            calls.clear()
        return [calls.append for calls in self.kept]

    def pop(self) -> list[tuple[Float[Tensor, "image head query d"], Float[Tensor, "image key_head key d"], float]]:
        """Return the queries, keys and scaling of each module, and forget them.

        Raises:
            RuntimeError: a module did not run.
        """
        return [
            (torch.cat([query for query, _, _ in calls]), torch.cat([key for _, key, _ in calls]), calls[0][2])
            for calls in self.pop_calls()
        ]

    def pop_calls(self) -> list[list[Captured]]:
        """Return what `pop` does for each call of a module by itself, whose pictures may differ in size.

        Raises:
            RuntimeError: a module did not run.
        """
        if not all(self.kept):
            raise RuntimeError("no attention was captured: the layer did not run in this forward pass")
        taken = [[*calls] for calls in self.kept]
        self.keep()
        return taken
