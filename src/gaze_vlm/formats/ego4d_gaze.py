"""Gaze tables of Ego4D: one CSV of 23 columns a video, about 200 samples a second."""

import warnings
from pathlib import Path

import numpy as np

from gaze_vlm.errors import InputError
from gaze_vlm.formats.csv_tables import csv_rows, parse_number
from gaze_vlm.formats.gaze_points import (
    by_time,
    number_table,
    placed_samples,
    warn_of_shared_times,
    without_repeats,
)
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

VECTORS = ("gaze_point_3d", "eye_center0_3d", "gaze_normal0", "eye_center1_3d", "gaze_normal1")
COLUMNS = (
    *("component_idx", "component_timestamp_s", "canonical_timestamp_s", "world_index", "confidence"),
    *("norm_pos_x", "norm_pos_y", "base_data"),
    *(f"{vector}_{axis}" for vector in VECTORS for axis in "xyz"),
)
READ = ("canonical_timestamp_s", "confidence", "norm_pos_x", "norm_pos_y")


def read_ego4d_gaze(path: Path) -> GazeSamples:
    """Read one gaze table, whatever the file's suffix says.

    Columns are found by the header line; without one, in the documented order of 23.

    Time: `canonical_timestamp_s`, seconds of the video. Rows are sorted by it; rows of the same time stay in their
        order. `world_index` counts frames of the untrimmed recording and is not used. A row without a finite time is
        left out, with a warning that counts them. Rows that repeat another (same time, place and flag) count once.

    Points: the file's origin is at the bottom left, so y = 1 − norm_pos_y. `confidence` says whether the tracker was
        worn, not how good a sample is: 0 or none is `UNTRACKED`. So is a coordinate that is not finite. Places outside
        [0, 1] are `OUT_OF_FRAME`, all others `UNKNOWN`, for the file does not distinguish fixations from saccades.

    Raises:
        InputError: the file is empty or a video, a column is missing, a row cannot be read, or there is no sample.
    """
    with path.open("rb") as file:
        if file.read(8)[4:] == b"ftyp":
            raise InputError(f"{path} is a video, not a gaze table: download the gaze again")
    rows = (
        [parse_number(field, name, path, line) for name, field in zip(READ, fields, strict=True)]
        for line, fields in csv_rows(path, READ, COLUMNS)
    )
    table = number_table(rows, len(READ))
    timed = table[np.isfinite(table[:, 0])]
    if not len(timed):
        raise InputError(f"{path}: no sample with a time: download the gaze again")
    if len(timed) < len(table):
        warnings.warn(f"{path}: {len(table) - len(timed)} rows without a time are left out", stacklevel=2)
    t_s, worn, x, y = without_repeats(by_time(timed)).T
    warn_of_shared_times(t_s, path)
    event = np.where(worn > 0, GazeEvent.UNKNOWN, GazeEvent.UNTRACKED)  # NaN is not worn
    return placed_samples(t_s, np.stack([x, 1 - y], axis=1), event.astype(np.uint8))
