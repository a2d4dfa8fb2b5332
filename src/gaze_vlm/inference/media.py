"""Images or a video of others as the frames of one clip."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL.Image import Image
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from gaze_vlm.errors import InputError
from gaze_vlm.formats.decoder import WRITE_ANEW
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.inference.windows import WindowTimes, read_windows


def frames_of_images(images: Sequence[Image]) -> UInt8[Tensor, "frame 3 height width"]:
    """Return images as frames in RGB, of the first one's size; another of another size is squashed to it."""
    frames = [to_frames(torch.from_numpy(np.array(image.convert("RGB")))[None]) for image in images]
    return torch.cat([resize(frame, list(frames[0].shape[-2:]), antialias=True) for frame in frames])


def frames_of_video(
    path: Path, count: int, start_s: float | None = None, end_s: float | None = None
) -> tuple[UInt8[Tensor, "frame 3 height width"], list[float]]:
    """Sample frames of a video as a training samples those of a clip: evenly, the last at the end.

    Args:
        path: the video.
        count: how many frames.
        start_s: of the span, in seconds; None is the video's start.
        end_s: of the span; None, or a time behind it, is the video's end.

    Returns:
        The frames in RGB, and their times in seconds from the start of the span.

    Raises:
        InputError: it cannot be read as a video, the span is empty, or a frame is damaged.
    """
    start_s = max(0.0, start_s or 0.0)
    duration_s = video_info(path).duration_s
    end_s = duration_s if end_s is None else min(end_s, duration_s)
    if not start_s < end_s:
        raise InputError(f"{path}: nothing from {start_s:g} s to {end_s:g} s: it lasts {duration_s:g} s")
    times = WindowTimes(end_s - start_s, end_s - start_s, count / (end_s - start_s))
    window = next(read_windows(path, times, [end_s]))
    if window.frames is None:
        raise InputError(f"{path}: a frame between {start_s:g} s and {end_s:g} s is damaged: {WRITE_ANEW}")
    return window.frames, list(window.frame_times_s)


def in_whole_groups(
    frames: UInt8[Tensor, "frame 3 height width"], times_s: Sequence[float], frames_per_group: int
) -> tuple[UInt8[Tensor, "more 3 height width"], list[float]]:
    """Repeat the last frame until a vision tower that takes several frames as one can take them all.

    Args:
        frames: of a clip.
        times_s: of them.
        frames_per_group: how many it takes as one.
    """
    missing = -len(frames) % frames_per_group
    apart_s = times_s[-1] / len(times_s)
    later = [times_s[-1] + apart_s * (number + 1) for number in range(missing)]
    return torch.cat([frames, frames[-1:].expand(missing, -1, -1, -1)]), [*times_s, *later]
