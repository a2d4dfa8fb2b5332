"""The one form of every source's attention."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gaze_vlm.gaze.view import Grid


@dataclass
class PatchAttention:
    """Attention over the patches of each frame, as fp32 log-probabilities.

    `log_probs` [batch, frame, head, patch], row-major on `grid`, each head's patches summing to 1.
    """

    log_probs: Float[Tensor, "batch frame head patch"]
    grid: Grid

    def head_mean(self) -> Float[Tensor, "batch frame patch"]:
        """Log of the mean distribution over the heads."""
        heads = self.log_probs.shape[2]
        return self.log_probs.logsumexp(dim=2) - self.log_probs.new_tensor(heads).log()
