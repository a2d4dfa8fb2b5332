"""Where the model looks: the gaze block, the vision tower's own attention, and the regularizer."""

from gaze_vlm.attention.block import GazeBlock
from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.attention.regularizer import GazeRegularizer, gaze_divergence, kl_divergence

__all__ = ["GazeBlock", "GazeRegularizer", "PatchAttention", "gaze_divergence", "kl_divergence"]
