"""Gaze and text modelled together: some heads look where the wearer looks, others where the wearer looks next."""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.attention.regularizer import Direction, GazeRegularizer
from gaze_vlm.errors import InputError
from gaze_vlm.ranges import at_least


class NextGazeRegularizer(GazeRegularizer):
    """Pulls the last heads toward the gaze of the next frame, the others toward that of their own.

    So the attention of a frame predicts the wearer's next gaze. A clip's last frame has no next one, and its last heads
    are free. The divergence of a frame is the sum of both, each of the mean over its heads.

    Args:
        weight: λ, of both.
        next_heads: how many heads look ahead; of several layers, the last layer's come last.
        direction: see `GazeRegularizer`, also for `floor`.
        floor: ε.
    """

    def __init__(
        self,
        weight: float = 1.0,
        next_heads: int = 2,
        direction: Direction = "attention_to_gaze",
        floor: float = 1e-3,
    ) -> None:
        super().__init__(weight, direction, floor)
        at_least(1, next_heads=next_heads)
        self.next_heads = next_heads

    def forward(
        self, attention: PatchAttention, gaze: Float[Tensor, "batch frame patch"], valid: Bool[Tensor, "batch frame"]
    ) -> tuple[Float[Tensor, "batch frame"], Float[Tensor, ""]]:
        """Return the divergence of each frame, and the number of frames that count.

        Frames count with valid gaze of their own.

        Raises:
            InputError: attention and gaze are on different grids, or no head is left for a frame's own gaze.
        """
        heads = attention.log_probs.shape[2]
        if heads <= self.next_heads:
            raise InputError(
                f"next_heads is {self.next_heads} of {heads} heads: leave at least one for a frame's own gaze"
            )
        own, ahead = attention.log_probs.split([heads - self.next_heads, self.next_heads], dim=2)
        now, count = super().forward(PatchAttention(own, attention.grid), gaze, valid)
        later, _ = super().forward(PatchAttention(ahead[:, :-1], attention.grid), gaze[:, 1:], valid[:, 1:])
        return now + functional.pad(later, (0, 1)), count
