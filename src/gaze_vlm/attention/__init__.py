"""Where the model looks: the gaze block, the vision tower's own attention, and the regularizer."""

from gaze_vlm.attention.block import GazeBlock
from gaze_vlm.attention.next_gaze import NextGazeRegularizer
from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.attention.regularizer import GazeRegularizer, gaze_divergence, kl_divergence
from gaze_vlm.attention.released_code import ReleasedCodeRegularizer

__all__ = [
    "GazeBlock",
    "GazeRegularizer",
    "NextGazeRegularizer",
    "PatchAttention",
    "ReleasedCodeRegularizer",
    "gaze_divergence",
    "kl_divergence",
]
