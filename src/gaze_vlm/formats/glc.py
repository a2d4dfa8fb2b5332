"""Gaze labels that the GLC project derived from Ego4D's gaze: one row a frame, and spans without gaze."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gaze_vlm.errors import InputError
from gaze_vlm.formats.csv_tables import csv_rows, parse_number
from gaze_vlm.formats.gaze_points import by_time, number_table, placed_samples
from gaze_vlm.formats.recording import check_name
from gaze_vlm.formats.text_files import is_whole
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

LABEL_COLUMNS = ("frame", "x", "y", "gaze_type")
SPAN_COLUMNS = ("video_uid", "start", "end", "reason")
FRAME_HZ = 30  # of the canonical videos, which the labels count frames of
EVENTS = (GazeEvent.FIXATION, GazeEvent.SACCADE, GazeEvent.OUT_OF_FRAME, GazeEvent.UNTRACKED)  # by gaze_type


def read_frame_labels(path: Path) -> GazeSamples:
    """Read `<uid>_frame_label.csv`: frame (from 0), place, and type.

    Time: frame / 30 s. Points: normalised, origin at the top left already. Types: 0 fixation, 1 saccade, 2 out of the
    frame (its place is clipped to the border), 3 untracked (its place, (0, 0), means nothing). The labels do not know
    Ego4D's worn flag.

    Raises:
        InputError: the file is empty, a column is missing, a row cannot be read, or there is no row.
    """
    table = number_table(_label_rows(path), len(LABEL_COLUMNS))
    if not len(table):
        raise InputError(f"{path}: no rows; make or copy the labels again")
    rows = by_time(table)
    event = np.array(EVENTS, dtype=np.uint8)[rows[:, 3].astype(int)]
    return placed_samples(rows[:, 0] / FRAME_HZ, rows[:, 1:3], event)


def _label_rows(path: Path) -> Iterator[tuple[float, float, float, float]]:
    for line, fields in csv_rows(path, LABEL_COLUMNS, LABEL_COLUMNS):
        frame, x, y, kind = (
            parse_number(field, name, path, line) for name, field in zip(LABEL_COLUMNS, fields, strict=True)
        )
        if not np.isfinite(frame):
            raise InputError(f"{path}, line {line}: frame is {fields[0]!r}; fix or delete the row")
        if kind not in range(len(EVENTS)):
            raise InputError(f"{path}, line {line}: gaze_type is {fields[3]!r}; expected 0, 1, 2 or 3")
        yield frame, x, y, kind


def read_untracked_spans(path: Path) -> dict[str, tuple[tuple[float, float], ...]]:
    """Read `ego4d_gaze_untracked.csv`: spans in seconds, by video.

    The file has no header; times are HH:MM:SS. A row that repeats another counts once; one that ends before it starts
    is left out, with a warning.

    Raises:
        InputError: a row cannot be read.
    """
    spans: dict[str, list[tuple[float, float]]] = {}
    for line, (uid, *clock) in csv_rows(path, SPAN_COLUMNS[:3], SPAN_COLUMNS):
        where = f"{path}, line {line}"
        start_s, end_s = (_seconds(field.strip(), where) for field in clock)
        listed = spans.setdefault(check_name(uid.strip(), where), [])
        if end_s < start_s:
            warnings.warn(f"{where}: ends before it starts and is left out", stacklevel=2)
        elif (start_s, end_s) not in listed:
            listed.append((start_s, end_s))
    return {uid: tuple(sorted(listed)) for uid, listed in spans.items()}


def _seconds(field: str, where: str) -> float:
    parts = field.split(":")
    if len(parts) != 3 or not all(map(is_whole, parts)):
        raise InputError(f"{where}: {field!r} is not a time; expected HH:MM:SS")
    hours, minutes, seconds = map(int, parts)
    return float((hours * 60 + minutes) * 60 + seconds)
