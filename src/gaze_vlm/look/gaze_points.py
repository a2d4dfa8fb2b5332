"""Gaze of a table beside attention: the points of each frame, and how much of a map lies on them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.formats.gaze_points import MIN_CONFIDENCE
from gaze_vlm.formats.gaze_tables import EXPORTS, gaze_format, read_gaze_table, recording_file, where_instead
from gaze_vlm.formats.video import TIME_TOLERANCE_S
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.preparation.gaze_time import check_times

WINDOW_S = 0.2  # gaze up to this long before a frame is the frame's, as in a prepared store
SIGMA = 0.0184  # of a point, in frame widths: the paper's 20 px of 1088


def gaze_at_frames(
    path: Path, times_s: Sequence[float], size_px: tuple[int, int], video: VideoInfo | None = None
) -> GazeMixture:
    """Read a file of gaze, and return the points of each frame: those of the last 200 ms where the eye was tracked.

    Points are not carried to the frame by optical flow, as `prepare` does.

    Args:
        path: in any format of `gaze_tables`, or the folder of a recording or an export that holds one.
        times_s: of the frames, from the video's first.
        size_px: width and height of a frame.
        video: header of the video that the frames are of, whose shown size places in pixels are of; None where they are
            of none.

    Raises:
        MissingFileError: there is no such file.
        InputError: it cannot be read as gaze, is not timed by `video`, or has nothing of the time of any frame.
    """
    if path.is_dir():
        file = recording_file(path)
        if file is None:
            none = f"{path} is a folder without any of {', '.join(EXPORTS)}: name a file in it"
            raise InputError(f"--gaze: {where_instead(path) or none}")
        path = file
    if not path.is_file():
        raise MissingFileError(f"--gaze: {path} does not exist")
    shown_px = size_px if video is None else video.shown_px
    samples = read_gaze_table(path, gaze_format(path), MIN_CONFIDENCE, shown_px, video)
    if video is not None:
        check_times(path, samples, video)
    ends_s = [time_s + TIME_TOLERANCE_S for time_s in times_s]
    windows = [samples.window(end_s - WINDOW_S, end_s) for end_s in ends_s]
    if not any(map(len, windows)):
        raise InputError(
            f"{path} has gaze from {samples.t_s[0]:.2f} s to {samples.t_s[-1]:.2f} s, none of it within "
            f"{1000 * WINDOW_S:.0f} ms before a frame, and frames are from {times_s[0]:.2f} s to {times_s[-1]:.2f} s: "
            "is it that video's, timed from its first frame?"
        )
    of_frame = [window.xy[window.tracked] for window in windows]
    most = max(1, *map(len, of_frame))
    xy, weight = np.zeros((len(times_s), most, 2), np.float32), np.zeros((len(times_s), most), np.float32)
    for frame, points in enumerate(of_frame):
        xy[frame, : len(points)], weight[frame, : len(points)] = points, 1.0
    return GazeMixture(torch.from_numpy(xy), torch.from_numpy(weight), SIGMA, size_px[0] / size_px[1])


def points_of(gaze: GazeMixture, frame: int) -> list[tuple[float, float]]:
    """List the points that count in a frame, as shares of its width and height."""
    return [(float(x), float(y)) for x, y in gaze.xy[frame][gaze.weight[frame] > 0]]
