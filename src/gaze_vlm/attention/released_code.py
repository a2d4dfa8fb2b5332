"""The divergence of the paper's released code: a defect to show, never to train with (docs/arms.md)."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from gaze_vlm.attention.regularizer import GazeRegularizer


def released_code_divergence(
    log_attention: Float[Tensor, "*#any patch"], gaze: Float[Tensor, "*#any patch"]
) -> Float[Tensor, "*any"]:
    """Compute what the released code takes for the KL between attention and gaze.

    Both are distributions already. It takes the softmax of each once more, s and t, which are close to even. It hands
    these probabilities to `kl_div` as if they were logarithms: Σ eᵗ (t − s), and 0 where that is negative.

    The gradient is many times smaller than that of a KL, and vanishes where attention is low.

    Example:
        >>> import torch
        >>> attention = torch.tensor([[0.5, 0.5], [0.9, 0.1]])
        >>> released_code_divergence(attention.log(), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        tensor([0.1776, 0.0316])
    """
    attended, target = log_attention.float().exp().softmax(-1), gaze.float().softmax(-1)
    return functional.kl_div(attended, target, reduction="none", log_target=True).sum(-1).clamp_min(0)


class ReleasedCodeRegularizer(GazeRegularizer):
    """Pulls attention by `released_code_divergence` in place of a KL.

    The released code sums it over the frames of a batch with λ = 100. Here it is their mean, so λ is 100 times the
    number of frames.

    Args:
        weight: λ.
        floor: ε of the attention KL that is reported; the released code has none.
    """

    def __init__(self, weight: float, floor: float = 1e-3) -> None:
        super().__init__(weight, floor=floor)

    def divergence(
        self, log_attention: Float[Tensor, "*#any patch"], gaze: Float[Tensor, "*#any patch"]
    ) -> Float[Tensor, "*any"]:
        return released_code_divergence(log_attention, gaze)
