"""The one form of every source's attention."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gaze_vlm.gaze.view import Grid


@dataclass
class PatchAttention:
    """Attention over the patches of each frame, whatever it was taken from.

    Args:
        log_probs: fp32 log-probabilities [batch, frame, head, patch], row-major on `grid`; the probabilities of a
            head's patches sum to 1.
        grid: rows and columns of the patches of a frame.

    Example:
        Two heads, each of which looks at one of two patches:

        >>> import torch
        >>> attention = PatchAttention(torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]]).log(), Grid(1, 2))
        >>> attention.head_mean().exp()
        tensor([[[0.5000, 0.5000]]])
    """

    log_probs: Float[Tensor, "batch frame head patch"]
    grid: Grid

    def head_mean(self) -> Float[Tensor, "batch frame patch"]:
        """Log of the mean distribution over the heads."""
        heads = self.log_probs.shape[2]
        return self.log_probs.logsumexp(dim=2) - self.log_probs.new_tensor(heads).log()
