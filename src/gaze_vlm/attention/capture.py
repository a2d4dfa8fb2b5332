"""Patch attention of a vision tower, captured without leaving the fast attention path.

The tower runs scaled-dot-product attention as always; an armed layer also keeps references to its queries and keys,
and the distribution over patches is computed from them afterwards, outside the model and in fp32. Computing it
inside the layer would be done twice under gradient checkpointing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

CAPTURING_SDPA = "gaze_vlm_sdpa"


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
    """The library's SDPA; a module whose `captured` is a list also hands over its query, key and scaling, once a call:
    some towers attend to one image at a time."""
    captured = getattr(module, "captured", None)
    if captured is not None:
        captured.append((query, key, query.shape[-1] ** -0.5 if scaling is None else scaling))
    return sdpa_attention_forward(  # the signature is the library's, its keywords pass through
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
    )


AttentionInterface.register(CAPTURING_SDPA, _capturing_sdpa)
AttentionMaskInterface.register(CAPTURING_SDPA, sdpa_mask)  # without it the library drops the mask silently


class AttentionCapture:
    """Captures one attention module of a model that was loaded with `attn_implementation=CAPTURING_SDPA`."""

    def __init__(self, attention: nn.Module) -> None:
        self.attention = attention
        self.captured: list[tuple[Tensor, Tensor, float]] = []

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Within, a forward pass is captured; generation outside runs untouched."""
        self.captured.clear()
        self.attention.captured = self.captured  # type: ignore[assignment]
        try:
            yield
        finally:
            del self.attention.captured

    def log_probs(self, class_token: bool) -> Float[Tensor, "image head patch"]:
        """Attention over the patches: the class token's row without its own column, renormalised, or, where there is
        no class token, the mean over all queries.

        Raises:
            RuntimeError: nothing was captured.
        """
        if not self.captured:
            raise RuntimeError("no attention was captured: the armed layer did not run in this forward pass")
        query = torch.cat([query for query, _, _ in self.captured]).float() * self.captured[0][2]
        key = torch.cat([key for _, key, _ in self.captured]).float()
        with torch.autocast(query.device.type, enabled=False):  # it would make bf16 of the products
            if class_token:
                scores = einsum(query[:, :, 0], key[:, :, 1:], "image head d, image head patch d -> image head patch")
                return scores.log_softmax(dim=-1)
            # Query × patch is large: one image at a time, and anew in the backward pass rather than kept.
            means = [checkpoint(_query_mean, *image, use_reentrant=False) for image in zip(query, key, strict=True)]
            return torch.stack(means)


def _query_mean(
    query: Float[Tensor, "head query d"], key: Float[Tensor, "head patch d"]
) -> Float[Tensor, "head patch"]:
    """Log of the mean over all queries of their attention."""
    scores = einsum(query, key, "head q d, head patch d -> head q patch")
    return scores.log_softmax(dim=-1).logsumexp(dim=1) - torch.tensor(float(query.shape[1])).log()
