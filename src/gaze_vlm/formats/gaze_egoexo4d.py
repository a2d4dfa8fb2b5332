"""Gaze of Ego-Exo4D's takes, projected into the frames of the Aria camera."""

from pathlib import Path

import numpy as np

from gaze_vlm.formats.gaze_points import check_scale, distinct_rows, placed_samples
from gaze_vlm.formats.text_files import finite, number
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

FRAME_HZ = 30
FRAME_PX = 1408
COLUMNS = ("frame_num", "x", "y")
FILES = ("personalized_eye_gaze_2d.csv", "general_eye_gaze_2d.csv")
"""Gaze calibrated to the wearer first; not every take has it."""


def read_egoexo4d_gaze(path: Path) -> GazeSamples:
    """Read `personalized_eye_gaze_2d.csv` or `general_eye_gaze_2d.csv` of a take.

    Time: `frame_num` counts the frames of the take's frame-aligned video at 30 fps; there are about 10 samples a
        second. `tracking_timestamp_us` is of the glasses' clock and is not used.

    Points: pixels of the upright frame of 1408 × 1408, origin top left, also for a video that was made smaller. A
        sample without a place is `UNTRACKED`, outside the frame `OUT_OF_FRAME`, and else `UNKNOWN`.

    Raises:
        ValueError: an empty file, a row that cannot be read, or a frame that is no whole number.
    """
    t_s, xy = [], []
    for line, (frame, *place) in distinct_rows(path, COLUMNS):
        index = finite(frame, "frame_num", path, line)
        if not index.is_integer():
            raise ValueError(f"{path}, line {line}: frame_num is {frame!r}; expected a whole number")
        t_s.append(index / FRAME_HZ)
        xy.append([number(field, name, path, line) for name, field in zip(COLUMNS[1:], place, strict=True)])
    event = np.full(len(t_s), GazeEvent.UNKNOWN, dtype=np.uint8)
    gaze = placed_samples(np.array(t_s), np.array(xy) / FRAME_PX, event)
    return check_scale(gaze, path, "is it the 2D gaze of a take, in pixels of 1408×1408?")
