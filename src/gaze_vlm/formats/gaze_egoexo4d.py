"""Gaze of Ego-Exo4D's takes, projected into the frames of the Aria camera."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gaze_vlm.errors import InputError
from gaze_vlm.formats.csv_tables import csv_rows, parse_finite, parse_number
from gaze_vlm.formats.gaze_points import check_places, distinct_rows, placed_samples
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

FRAME_HZ = 30
SAME_RATE = 0.005  # 29.97 fps is that rate too
FRAME_PX = 1408
COLUMNS = ("frame_num", "x", "y")
FILES = ("personalized_eye_gaze_2d.csv", "general_eye_gaze_2d.csv")
"""Gaze calibrated to the wearer first; not every take has it."""


def read_egoexo4d_gaze(path: Path, video: VideoInfo | None = None) -> GazeSamples:
    """Read `personalized_eye_gaze_2d.csv` or `general_eye_gaze_2d.csv` of a take.

    Time: `frame_num` counts the frames of the take's frame-aligned video at 30 fps; there are about 10 samples a
        second. `tracking_timestamp_us` is of the glasses' clock and is not used.

    Points: pixels of the upright frame of 1408 × 1408, origin top left, also for a video that was made smaller. A
        sample without a place is `UNTRACKED`, outside the frame `OUT_OF_FRAME`, and else `UNKNOWN`.

    Video: a warning says where `video` has another rate; None is not compared.

    Raises:
        InputError: the file is empty, a row cannot be read, a frame is no whole number, or time starts anew.
    """
    rows = distinct_rows(_rows(path), len(COLUMNS), path, FRAME_HZ)
    if video is not None and abs(video.average_hz / FRAME_HZ - 1) > SAME_RATE:
        warnings.warn(
            f"{path}: frame_num counts frames at {FRAME_HZ} fps, and the video has {video.average_hz:.4g} fps: use the "
            "take's frame-aligned video; gaze fits another only if it is as long",
            stacklevel=2,
        )
    event = np.full(len(rows), GazeEvent.UNKNOWN, dtype=np.uint8)
    gaze = placed_samples(rows[:, 0] / FRAME_HZ, rows[:, 1:] / FRAME_PX, event)
    return check_places(gaze, path, "is it the 2D gaze of a take, in pixels of 1408×1408?", (FRAME_PX, FRAME_PX))


def _rows(path: Path) -> Iterator[tuple[float, float, float]]:
    for line, (field, *place) in csv_rows(path, COLUMNS, COLUMNS):
        frame = parse_finite(field, "frame_num", path, line)
        if not frame.is_integer():
            raise InputError(f"{path}, line {line}: frame_num is {field!r}; expected a whole number")
        x_px, y_px = (parse_number(value, name, path, line) for name, value in zip(COLUMNS[1:], place, strict=True))
        yield frame, x_px, y_px
