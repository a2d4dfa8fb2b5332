"""Frames to look at: of a video, or images."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.formats.recording import files_in
from gaze_vlm.formats.video_header import VideoInfo, video_info, warn_of_header
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.inference.windows import WindowTimes, read_windows
from gaze_vlm.suggestions import nearest_path

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
TIMEOUT_S = 120.0  # of a decoder


@dataclass(frozen=True)
class Frames:
    """Frames, RGB in [0, 255].

    `start_s` is from the video's first frame, `times_s` from there. Players show that frame `offset_s` into the file.
    `video`: the header of the video; None for images.
    """

    images: UInt8[Tensor, "frame 3 height width"]
    start_s: float
    times_s: Sequence[float]
    offset_s: float = 0.0
    video: VideoInfo | None = None

    @property
    def video_times_s(self) -> list[float]:
        """Times from the video's first frame, as gaze tables have them."""
        return [self.start_s + time_s for time_s in self.times_s]

    @property
    def played_s(self) -> list[float]:
        """Times as players count them, from the start of the file."""
        return [self.offset_s + time_s for time_s in self.video_times_s]


def frames_of_video(path: Path, times: WindowTimes, end_s: float | None) -> Frames:
    """Read frames of a span of a video.

    Args:
        path: the video.
        times: length of the span and rate of the frames.
        end_s: where it ends, as players count, from the start of the file; None is the end of the video.

    Raises:
        MissingFileError: there is no such file.
        InputError: it cannot be read as a video, the span is not within it, or a frame is damaged.
    """
    if path.is_dir():
        raise InputError(f"--video: {path} is a folder: name a file in it")
    if not path.is_file():
        raise MissingFileError(f"--video: {path} does not exist{nearest_path(path)}")
    info = video_info(path, TIMEOUT_S)
    warn_of_header(path, info)
    last_s = info.offset_s + info.duration_s
    end_s = last_s if end_s is None else end_s
    if not times.observation_s <= end_s - info.offset_s + 1e-6 <= info.duration_s + 2e-6:
        raise InputError(
            f"{path} has frames from {info.offset_s:.2f} s to {last_s:.2f} s: no span of {times.observation_s:g} s "
            f"ends at {end_s:g} s; give another end_s or observation_s"
        )
    (window,) = read_windows(path, times, [round(end_s - info.offset_s, 6)], TIMEOUT_S)
    if window.frames is None:
        raise InputError(f"{path}: a frame before {end_s:g} s is damaged: give another end_s")
    return Frames(window.frames, window.start_s, window.frame_times_s, info.offset_s, info)


def frames_of_images(paths: Sequence[Path]) -> Frames:
    """Read images as frames a second apart, from 0 s.

    Args:
        paths: files, or folders whose images are taken by name, `frame2` before `frame10`.

    Raises:
        MissingFileError: one is not there, or a folder has none.
        InputError: one cannot be read as an image, or is of another size than the first.
    """
    files = [file for path in paths for file in _files(path)]
    images: list[np.ndarray] = []
    for file in files:
        bgr = _decoded(file)
        if images and bgr.shape != images[0].shape:
            sizes = " and ".join("×".join(map(str, one.shape[1::-1])) for one in (bgr, images[0]))
            raise InputError(f"{file} and {files[0]} differ in size, {sizes}: frames of a clip are of one size")
        images.append(bgr)
    return Frames(
        to_frames(torch.from_numpy(np.stack(images)[..., ::-1].copy())),
        0.0,
        [float(index) for index in range(len(images))],
    )


def _decoded(file: Path) -> np.ndarray:
    """The pixels of an image, turned as its metadata have it, blue first as OpenCV has them."""
    try:
        bgr = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # it is empty, or larger than OpenCV takes
        bgr = None
    if bgr is None:
        raise InputError(f"{file} cannot be read as an image: save it again, as PNG or JPEG")
    return bgr


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        images = (file for file in files_in(path, "*") if file.suffix.lower() in IMAGES and file.is_file())
        found = sorted(images, key=_natural)
        if not found:
            raise MissingFileError(f"--images: {path} has no image ({', '.join(IMAGES)})")
        return found
    if not path.is_file():
        raise MissingFileError(f"--images: {path} does not exist{nearest_path(path)}")
    return [path]


def _natural(file: Path) -> list[str | int]:
    """Return a name with its numbers as numbers: text and number in turn."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", file.name))]
