"""The gaze block: attention with a global query over the patches of each frame (paper §3)."""

from typing import Literal

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from gaze_vlm.precision import upcast
from gaze_vlm.ranges import at_least, at_most

BlockOutput = Literal["pool", "mean", "both", "append", "append_mean", "append_both", "modulate"]
BlockQuery = Literal["global", "frame"]
MOST_LAYERS = 2**10
WIDEST = 2**14
ALONE: tuple[BlockOutput, ...] = ("pool", "mean", "both")  # without the patch tokens


class PatchCrossAttention(nn.Module):
    """Multi-head attention of one latent a frame over that frame's patch tokens."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        inner = heads * head_width
        self.heads = heads
        self.scale = head_width**-0.5
        self.norm_latent = nn.LayerNorm(width)
        self.norm_tokens = nn.LayerNorm(width)
        self.to_query = nn.Linear(width, inner, bias=False)
        self.to_key_value = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(
        self, latent: Float[Tensor, "batch frame width"], tokens: Float[Tensor, "batch frame patch width"]
    ) -> tuple[Float[Tensor, "batch frame width"], Float[Tensor, "batch frame head patch"]]:
        """Return the attended values, and the attention as log-probabilities in 32 bits or more."""
        query = rearrange(self.to_query(self.norm_latent(latent)), "b t (h d) -> b t h d", h=self.heads)
        key, value = rearrange(
            self.to_key_value(self.norm_tokens(tokens)), "b t p (two h d) -> two b t h p d", two=2, h=self.heads
        )
        scores = einsum(query * self.scale, key, "b t h d, b t h p d -> b t h p")
        log_probs = upcast(scores).log_softmax(dim=-1)
        attended = einsum(log_probs.exp().to(value), value, "b t h p, b t h p d -> b t h d")
        return self.to_out(rearrange(attended, "b t h d -> b t (h d)")), log_probs


class GazeBlock(nn.Module):
    """Sits between the vision encoder and the language model.

    Its last layer's attention is regularized. One query (the mean of all frames' tokens, or of each frame's own)
    becomes a latent a frame, which attends to that frame's patches: q ← q + attention(q, patches); q ← q +
    feed-forward(q), `depth` times.

    Args:
        width: width of a visual token.
        heads: attention heads.
        head_width: width of a head.
        depth: layers; the paper has 2.
        output: what the language model reads of a frame. `pool` is the latent alone (the paper). `mean` is one token
            too, the patch tokens' mean weighted by the attention: a language model that knows patch tokens can read it
            at once, and the latent joins through a gate that starts at 0. `append` and `append_mean` put either behind
            the patch tokens, `append_both` both. `modulate` scales and shifts the patch tokens by the attention,
            starting at 0: a pretrained model starts unchanged.
        query: `global` (the paper) or `frame`.

    Raises:
        InputError: a number out of its range.

    Example:
        Two clips of eight frames, each of 16 × 16 visual tokens, of which the language model reads one a frame:

        >>> tokens, attention = GazeBlock(width=32, heads=2, head_width=16)(torch.randn(2, 8, 256, 32))
        >>> tokens.shape, attention.shape
        (torch.Size([2, 8, 1, 32]), torch.Size([2, 8, 2, 256]))
    """

    def __init__(
        self,
        width: int,
        heads: int = 8,
        head_width: int = 64,
        depth: int = 2,
        output: BlockOutput = "pool",
        query: BlockQuery = "global",
    ) -> None:
        super().__init__()
        at_least(1, width=width, heads=heads, head_width=head_width, depth=depth)
        at_most(MOST_LAYERS, heads=heads, depth=depth)  # far beyond any model: no mistyped number takes all memory
        at_most(WIDEST, head_width=head_width)
        self.settings = {  # with its width they make its like
            "heads": heads,
            "head_width": head_width,
            "depth": depth,
            "output": output,
            "query": query,
        }
        self.output: BlockOutput = output
        self.query: BlockQuery = query
        self.to_latent = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width, bias=False), nn.LayerNorm(width))
        self.attentions = nn.ModuleList(PatchCrossAttention(width, heads, head_width) for _ in range(depth))
        self.feed_forwards = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width, bias=False),
                nn.GELU(),
                nn.Linear(4 * width, width, bias=False),
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        if output in ("mean", "append_mean", "modulate"):
            self.shift = nn.Parameter(torch.zeros(width))
        if output == "modulate":
            self.scale = nn.Parameter(torch.zeros(width))

    def tokens_per_frame(self, patches: int) -> int:
        """Visual tokens that the language model reads for a frame of so many patches."""
        own = 0 if self.output == "modulate" else 2 if self.output.endswith("both") else 1
        return own if self.output in ALONE else patches + own

    def forward(
        self, tokens: Float[Tensor, "batch frame patch width"]
    ) -> tuple[Float[Tensor, "batch frame token width"], Float[Tensor, "batch frame head patch"]]:
        """Return tokens for the language model, and the last layer's attention.

        The attention is log-probabilities in 32 bits or more. The block computes in the precision of its own weights,
        autocast or not: in bf16 log-probabilities would be off by hundredths, and gaze moves them by as much. Beside
        the language model that costs next to nothing.
        """
        with torch.autocast(tokens.device.type, enabled=False):
            made, log_probs = self.rewrite(tokens.to(self.norm.weight))
        return made.to(tokens), log_probs

    def rewrite(
        self, tokens: Float[Tensor, "batch frame patch width"]
    ) -> tuple[Float[Tensor, "batch frame token width"], Float[Tensor, "batch frame head patch"]]:
        """Compute what `forward` returns, in the precision of the weights."""
        if self.query == "global":
            mean = repeat(tokens.mean((1, 2)), "b d -> b t d", t=tokens.shape[1])
        else:
            mean = tokens.mean(2)
        latent = self.to_latent(mean)
        for attention, feed_forward in zip(self.attentions, self.feed_forwards, strict=True):
            attended, log_probs = attention(latent, tokens)
            latent = latent + attended
            latent = latent + feed_forward(latent)
        latent = rearrange(self.norm(latent), "b t d -> b t 1 d")
        attention = log_probs.exp().mean(2).to(tokens)
        if self.output == "modulate":
            # Relative to uniform attention, so that a frame attended to evenly is left as it is.
            excess = rearrange(attention * tokens.shape[2] - 1, "b t p -> b t p 1")
            return tokens + excess * (self.scale * tokens + self.shift * latent), log_probs
        if self.output in ("pool", "append"):
            made = latent
        else:
            mean = rearrange(einsum(attention, tokens, "b t p, b t p d -> b t d"), "b t d -> b t 1 d")
            both = self.output.endswith("both")
            made = torch.cat([mean, latent], dim=2) if both else mean + self.shift * latent
        return made if self.output in ALONE else torch.cat([tokens, made], dim=2), log_probs
