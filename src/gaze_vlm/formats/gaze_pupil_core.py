"""Gaze of Pupil Core, as Pupil Player exports it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gaze_vlm.errors import InputError
from gaze_vlm.formats.csv_tables import csv_header, csv_rows, known_columns, parse_finite, parse_number
from gaze_vlm.formats.gaze_points import MIN_CONFIDENCE, check_places, distinct_rows, parse_confidence, placed_samples
from gaze_vlm.formats.gaze_pupil import CORE_TIME, check_frames, frames_table
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

COLUMNS = ("gaze_timestamp", "norm_pos_x", "norm_pos_y", "confidence")
OLD_COLUMNS = ("timestamp", *COLUMNS[1:], "base_data")
"""Of exports of before; those of pupils, which lie in the eye's picture, have no `base_data`."""
FILE = "gaze_positions.csv"


def read_pupil_core_gaze(
    path: Path, min_confidence: float = MIN_CONFIDENCE, video: VideoInfo | None = None
) -> GazeSamples:
    """Read `gaze_positions.csv`, with `world_timestamps.csv` beside it.

    Time: both files count seconds of one clock. The first world timestamp is the first frame of the exported
        `world.mp4`, time 0.

    Columns: exports of before call the times `timestamp`; they are known by their `base_data`.

    Points: normalised to the frame, origin **bottom left**. A sample whose `confidence` is below `min_confidence`, or
        empty, is `UNTRACKED`, and the others are `UNKNOWN`. One such sample between two others is left out: rows of
        both eyes may alternate, and where one eye is lost alone every second row would end a fixation.

    Video: a row of the world timestamps is a frame of `video`, whose length they are compared with; None is not
        compared.

    Raises:
        InputError: one of the files is missing, empty or of another export, a row cannot be read, a confidence is above
            1, most places are outside the frame, or the video was written anew at another rate.
    """
    world = frames_table(path, FILE, CORE_TIME)
    frames_s = [parse_finite(field, CORE_TIME, world, line) for line, (field,) in _table(world, (CORE_TIME,))]
    if not frames_s:
        raise InputError(f"{world} has a header and no row: export the recording again")
    start_s = min(frames_s)
    if video is not None:
        check_frames(world, len(frames_s), max(frames_s) - start_s, video)
    rows = _without_single_losses(distinct_rows(_rows(path, min_confidence), 4, path))
    gaze = placed_samples(rows[:, 0] - start_s, rows[:, 1:3], rows[:, 3].astype(np.uint8))
    return check_places(gaze, path, "is it the export of a scene camera's recording?")


def _without_single_losses(rows: Float64[np.ndarray, "row column"]) -> Float64[np.ndarray, "kept column"]:
    lost = np.pad(rows[:, 3] == GazeEvent.UNTRACKED, 1, constant_values=True)
    return rows[~lost[1:-1] | lost[:-2] | lost[2:]]


def _table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    return csv_rows(path, columns, columns)


def _rows(path: Path, min_confidence: float) -> Iterator[tuple[float, float, float, GazeEvent]]:
    old = known_columns(csv_header(path), OLD_COLUMNS) == [*OLD_COLUMNS]
    columns = OLD_COLUMNS[:4] if old else COLUMNS
    for line, (time, *place, confidence) in _table(path, columns):
        x, y = (parse_number(field, name, path, line) for field, name in zip(place, columns[1:3], strict=True))
        sure = parse_confidence(confidence, path, line) >= min_confidence
        yield parse_finite(time, columns[0], path, line), x, 1 - y, GazeEvent.UNKNOWN if sure else GazeEvent.UNTRACKED
