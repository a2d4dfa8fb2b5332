"""The attention of one layer, from its queries and keys: how much goes to each frame, and where in the frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class LayerAttention:
    """Attention of one layer on the patches of some frames, in fp32.

    A *token* is one of the answer; what does not depend on the answer has one. `shares` say what part of a
    head's whole attention goes to the patches of each frame. `maps` are the distributions within the frames, each of
    which sums to 1; without any patch, where the layer reads none.
    """

    shares: Float[Tensor, "token head frame"]
    maps: Float[Tensor, "token head frame patch"]


def token_attention(
    query: Float[Tensor, "head read d"],
    key: Float[Tensor, "key_head attended d"],
    scaling: float,
    asking: Int[Tensor, " token"],
    visual: Int[Tensor, "frame patch"],
    causal: bool = True,
    window: int | None = None,
) -> LayerAttention:
    """Return where the tokens look that predict the answer.

    Args:
        query, key, scaling: of one sample in a language layer; a key's head serves a group of the queries'.
        asking: where the predicting tokens stand among the queries.
        visual: where the patches of each frame stand among the keys.
        causal: whether a token attends to itself and what stands before it alone.
        window: how many keys it attends to, itself the last; None are all. Without effect unless `causal`.
    """
    behind = asking[:, None] - torch.arange(key.shape[1], device=key.device)
    hidden = ((behind < 0) | (behind >= (window or key.shape[1]))) & causal
    heads = []
    with torch.autocast(query.device.type, enabled=False):  # it would make bf16 of the products
        for own, keys in zip(query[:, asking].float().split(len(query) // len(key)), key.float(), strict=True):
            scores = (own * scaling @ keys.T).masked_fill(hidden, -torch.inf)
            heads.append(scores.log_softmax(-1)[..., visual])
    return LayerAttention(*_by_frame(rearrange(torch.cat(heads), "head token ... -> token head ...")))


def tower_attention(
    query: Float[Tensor, "frame head token d"],
    key: Float[Tensor, "frame head token d"],
    scaling: float,
    class_token: bool,
    prefix: int,
    positions: Sequence[int] | None = None,
) -> LayerAttention:
    """Return where a layer of the vision tower looks: its class token, or else the mean of its patches.

    Args:
        query, key, scaling: of the layer; each frame attends to itself.
        class_token: whether the sequence begins with a class token.
        prefix: tokens before the patches.
        positions: where the patches stand behind the prefix, row by row; None: in order.
    """
    looking = slice(0, 1) if class_token else slice(prefix, None)
    shares, maps = [], []
    with torch.autocast(query.device.type, enabled=False):
        # Query × patch is large: one head of one frame at a time.
        for own, keys in zip(query.flatten(0, 1), key.flatten(0, 1), strict=True):
            scores = own[looking].float() * scaling @ keys.float().T
            share, map_ = _by_frame(scores.log_softmax(-1)[:, prefix:])
            shares.append(share.mean(0))
            maps.append(map_.mean(0))
    by_frame = "(frame head) ... -> 1 head frame ..."
    made = [rearrange(torch.stack(parts), by_frame, frame=len(query)) for parts in (shares, maps)]
    return LayerAttention(made[0], made[1] if positions is None else made[1][..., list(positions)])


def _by_frame(log_probs: Float[Tensor, "*any patch"]) -> tuple[Float[Tensor, "*any"], Float[Tensor, "*any patch"]]:
    """Split probabilities over a frame's patches into their sum and the distribution within the frame.

    It is even where a window hides all of the frame.
    """
    sums = log_probs.logsumexp(-1, keepdim=True)
    within = (log_probs - sums).exp()
    return sums.squeeze(-1).exp(), within.where(sums > -torch.inf, 1 / log_probs.shape[-1])
