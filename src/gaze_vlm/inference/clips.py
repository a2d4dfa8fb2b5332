"""Clips without gaze, and what a model answers about them."""

from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import GazeMixture


def clip_of_frames(
    frames: UInt8[Tensor, "frame 3 height width"], times_s: Sequence[float], prompt: str, clip_id: str = "clip"
) -> Clip:
    """Make a clip of frames and a question; no frame has valid gaze.

    Args:
        frames: in RGB, of any size.
        times_s: of each frame, increasing.
        prompt: the question.
        clip_id: by which the clip is known in a batch: clips that share it share their frames.

    Raises:
        InputError: not one time for each frame.
    """
    if len(times_s) != len(frames):
        raise InputError(f"clip {clip_id} has {len(frames)} frames and {len(times_s)} times: give one a frame")
    nowhere = GazeMixture(
        xy=torch.zeros(len(frames), 1, 2),
        weight=torch.zeros(len(frames), 1),
        sigma=1.0,
        aspect=frames.shape[-1] / frames.shape[-2],
    )
    return Clip(
        clip_id=clip_id,
        video_id=clip_id,
        session=clip_id,
        task="activity",
        frames=frames,
        frame_times_s=times_s,
        gaze=nowhere,
        prompt=prompt,
        target="",
        verb=None,
        noun=None,
        same_action=False,
        future_starts_in_s=0.0,
    )


def answer(backbone: Backbone, clips: Sequence[Clip]) -> list[str]:
    """Answer the clips' questions greedily, from frames and text alone.

    Args:
        backbone: as `load_backbone` gives it, on any device.
        clips: of equally many frames.

    Returns:
        A text for each.
    """
    return backbone.generate(on_device_of(backbone, backbone.collator()(list(clips))))


def on_device_of(backbone: Backbone, batch: Batch) -> Batch:
    """Return a batch on the device that a backbone is on."""
    device = next(backbone.parameters()).device
    return batch.map_tensors(lambda tensor: tensor.to(device))
