"""The generic gaze table: `t_s,x,y[,confidence][,event]`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gaze_vlm.errors import InputError
from gaze_vlm.formats.csv_tables import csv_header, csv_rows, known_columns, parse_finite, parse_number
from gaze_vlm.formats.gaze_points import MIN_CONFIDENCE, check_places, distinct_rows, parse_confidence, placed_samples
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

COLUMNS = ("t_s", "x", "y")
OPTIONAL = ("confidence", "event")
SCALE = (
    "x and y are shares of the frame from its top left: divide pixels by its width and height and percent by 100, and "
    "add a half to places from its centre"
)
EVENTS = {"": GazeEvent.UNKNOWN} | {event.name.lower(): event for event in GazeEvent}


def read_generic_gaze(path: Path, min_confidence: float = MIN_CONFIDENCE) -> GazeSamples:
    """Read a generic table. Its columns may stand in any order, beside others, and their names in any case.

    Time: `t_s`, seconds from the video's first frame. Rows are sorted by it; several places of one time are all kept,
        and a row that repeats another counts once.

    Points: `x` and `y` are normalised to the frame, origin top left. Outside [0, 1] they are `OUT_OF_FRAME`; empty or
        not finite they are `UNTRACKED`, and so is a sample whose `confidence` is below `min_confidence`, or empty.
        `event` is the name of a `GazeEvent` in any case (`fixation`, `saccade`, `blink`, …), `UNKNOWN` if empty.

    Raises:
        InputError: the file is empty, a row cannot be read, a time is missing, time starts anew, an event is unknown,
            a confidence is above 1, or places are pixels.
    """
    rows = distinct_rows(_rows(path, min_confidence), 4, path)
    gaze = placed_samples(rows[:, 0], rows[:, 1:3], rows[:, 3].astype(np.uint8))
    return check_places(gaze, path, SCALE)


def _rows(path: Path, min_confidence: float) -> Iterator[tuple[float, float, float, GazeEvent]]:
    names = [*COLUMNS, *known_columns(csv_header(path), OPTIONAL)]
    for line, fields in csv_rows(path, names, names):
        row = dict(zip(names, fields, strict=True))
        t_s = parse_finite(row["t_s"], "t_s", path, line)
        x, y = (parse_number(row[name], name, path, line) for name in ("x", "y"))
        event = _event(row.get("event", ""), path, line)
        sure = "confidence" not in row or parse_confidence(row["confidence"], path, line) >= min_confidence
        yield t_s, x, y, event if sure or event == GazeEvent.BLINK else GazeEvent.UNTRACKED


def _event(field: str, path: Path, line: int) -> GazeEvent:
    name = field.strip().lower()
    if name not in EVENTS:
        expected = ", ".join(name for name in EVENTS if name)
        raise InputError(f"{path}, line {line}: event is {field!r}; expected one of {expected}, or nothing")
    return EVENTS[name]
