"""Gaze of Pupil Invisible and Neon, as Pupil Cloud and Neon Player export it."""

from pathlib import Path

import numpy as np

from gaze_vlm.formats.gaze_points import check_scale, distinct_rows, placed_samples
from gaze_vlm.formats.text_files import csv_header, number
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

TIME = "timestamp [ns]"
COLUMNS = (TIME, "gaze x [px]", "gaze y [px]")
RECORDING = "recording id"
FIXATION, BLINK = "fixation id", "blink id"
OPTIONAL = (RECORDING, "worn", FIXATION, BLINK)
WORLD = "world_timestamps.csv"
WORN = {"": True, "true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
WORN |= {"255": True, "255.0": True}  # as in a Neon's own files; exports made on a computer copy it


def read_pupil_gaze(path: Path, width_px: int, height_px: int) -> GazeSamples:
    """Read `gaze.csv`, with `world_timestamps.csv` beside it.

    Time: both files count nanoseconds of one clock. The first world timestamp is the video's first frame, time 0.

    Points: pixels of the scene camera's frame, `width_px` × `height_px`, origin top left.

    Events: not worn is `UNTRACKED`, with a blink id a sample is a `BLINK`, with a fixation id a `FIXATION`; an id of -1
        stands for none. Pupil Labs takes what is between fixations for saccades, so the rest are `SACCADE` in a file
        that has fixations, and `UNKNOWN` in one that has none.

    Raises:
        ValueError: one of the files is missing or empty, a row cannot be read, the file is of several recordings, or
            most places are outside the frame.
    """
    world = path.with_name(WORLD)
    if not world.is_file():
        raise ValueError(f"{world} is missing: gaze is timed by it; export the recording again, or copy it there")
    start_ns = min(_nanoseconds(field, world, line) for line, (field,) in distinct_rows(world, [TIME]))
    names = [*COLUMNS, *(name for name in OPTIONAL if name in csv_header(path))]
    rows = [(line, dict(zip(names, fields, strict=True))) for line, fields in distinct_rows(path, names)]
    recordings = {row[RECORDING] for _, row in rows if RECORDING in row}
    if len(recordings) > 1:
        raise ValueError(f"{path}: samples of {len(recordings)} recordings; give each recording a folder of its own")
    t_s = [(_nanoseconds(row[TIME], path, line) - start_ns) / 1e9 for line, row in rows]
    xy_px = np.array([[number(row[name], name, path, line) for name in COLUMNS[1:]] for line, row in rows])
    has_fixations = any(_has_id(row, FIXATION, path, line) for line, row in rows)
    event = [_event(row, has_fixations, path, line) for line, row in rows]
    gaze = placed_samples(np.array(t_s), xy_px / [width_px, height_px], np.array(event, dtype=np.uint8))
    mend = f"it was taken to be {width_px}×{height_px} px: set frame_width_px and frame_height_px to the camera's"
    return check_scale(gaze, path, mend)


def _event(row: dict[str, str], has_fixations: bool, path: Path, line: int) -> GazeEvent:
    worn = row.get("worn", "").strip().lower()
    if worn not in WORN:
        raise ValueError(f"{path}, line {line}: worn is {row['worn']!r}; expected 1.0 or 0.0, true or false")
    if not WORN[worn]:
        return GazeEvent.UNTRACKED
    if _has_id(row, BLINK, path, line):
        return GazeEvent.BLINK
    if _has_id(row, FIXATION, path, line):
        return GazeEvent.FIXATION
    return GazeEvent.SACCADE if has_fixations else GazeEvent.UNKNOWN


def _has_id(row: dict[str, str], name: str, path: Path, line: int) -> bool:
    """Whether the sample is of such an event. Where a recording has none at all, a whole column may be -1."""
    return number(row.get(name, ""), name, path, line) >= 0  # an empty field is NaN


def _nanoseconds(field: str, path: Path, line: int) -> int:
    """A timestamp as a whole number, for as a float it would lose some hundred nanoseconds."""
    if not field.strip().isdecimal():
        raise ValueError(f"{path}, line {line}: {TIME} is {field!r}; expected a whole number, mend or delete the row")
    return int(field)
