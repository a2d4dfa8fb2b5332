"""Texts in the formats that the readers read: pure functions from data to file contents."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gaze_vlm.errors import InputError

BEGAZE_VARIANTS = ("3.1", "3.4")
PREAMBLE_LINES = 33
TIMECODE_HZ = 24
ACTION_LABELS_HEADER = (
    "# Clip ID (Unique, used only internally); Clip Prefix (Unique); Video Session; Starting Time (ms);  "
    "Ending Time (ms); Action Label; Verb Label; Noun Label(s)"
)
_EYE_VECTORS = [f"{eye} {vector} {axis}" for vector in ("EPOS", "GVEC") for eye in "LR" for axis in "XYZ"]
_COLUMNS = {
    "3.1": ["Time", "Type", "Trial", "L POR X [px]", "L POR Y [px]", "Frame", "Aux1", "L Event Info"],
    "3.4": [
        *("Time", "Type", "Trial", "L Pupil Diameter [mm]", "R Pupil Diameter [mm]"),
        *(f"{eye} POR {axis} [px]" for eye in "BLR" for axis in "XY"),
        *_EYE_VECTORS,
        *("Trigger", "Frame", "Aux1", "B Event Info"),
    ],
}


class LabelledAction(NamedTuple):
    """An action of a session; times in milliseconds from the start of its video."""

    session: str
    start_ms: int
    end_ms: int
    verb: str
    noun: str
    frame_count: int
    """Frames of the whole session at 24 fps, to keep the padded clip inside it."""

    @property
    def label(self) -> str:
        """Verb and noun as one text."""
        return f"{self.verb} {self.noun}"


def begaze_text(
    t_us: Int[np.ndarray, " sample"],
    xy_px: Float[np.ndarray, "sample 2"],
    events: Sequence[str],
    frames: Int[np.ndarray, " sample"],
    variant: str,
    subject: str = "P01",
) -> str:
    """Write a raw-data export of SMI BeGaze.

    Args:
        t_us: Time of each sample in microseconds, with any origin.
        xy_px: Point of regard in pixels of the 1280×960 scene camera, (0, 0) where the eye was lost.
        events: `Fixation`, `Saccade`, `Blink` or `-` for each sample.
        frames: Frame of the 24 fps scene video during each sample, from 0; 3.1 writes the number, 3.4 a
            timecode.
        variant: `3.1` (left eye, 8 columns) or `3.4` (both eyes, 27 columns).
        subject: Name in the preamble.

    Raises:
        InputError: the variant is unknown, or columns have different lengths.
    """
    if variant not in BEGAZE_VARIANTS:
        raise InputError(f"BeGaze variant {variant!r} is none of {', '.join(BEGAZE_VARIANTS)}")
    lengths = {"t_us": len(t_us), "xy_px": len(xy_px), "events": len(events), "frames": len(frames)}
    if len(set(lengths.values())) > 1:
        raise InputError(f"gaze columns differ in length: {lengths}")
    row = _row_31 if variant == "3.1" else _row_34
    samples = zip(t_us.tolist(), xy_px.tolist(), events, frames.tolist(), strict=True)
    rows = [row(time, x, y, event, frame) for time, (x, y), event, frame in samples]
    return "\n".join([*_preamble(variant, len(rows), subject), "\t".join(_COLUMNS[variant]), *rows]) + "\n"


def timecode(frame: int) -> str:
    """Return `HH:MM:SS:FF` of a frame at 24 fps."""
    seconds, rest = divmod(frame, TIMECODE_HZ)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"


def clip_name(action: LabelledAction) -> str:
    """Return a clip's name, `<session>-<t0 ms>-<t1 ms>-F<first>-F<last>`.

    Frames are padded by a tenth on each side, at least 24. The frames stay inside the session, which is the only reason
    for fewer.
    """
    start, end = action.start_ms * TIMECODE_HZ / 1000, action.end_ms * TIMECODE_HZ / 1000
    padding = max(0.1 * (end - start), (TIMECODE_HZ - (end - start)) / 2)
    first = max(0, round(start - padding))
    last = min(action.frame_count, max(round(end + padding), first + TIMECODE_HZ))
    first = max(0, min(first, last - TIMECODE_HZ))
    return f"{action.session}-{action.start_ms}-{action.end_ms}-F{first:06d}-F{last:06d}"


def action_labels_csv(actions: Sequence[LabelledAction]) -> str:
    """Write `action_labels.csv`: one action a row, fields separated by "; "."""
    rows = [
        f"{number}; {action.session}-{action.start_ms}-{action.end_ms}; {action.session}; {action.start_ms}; "
        f"{action.end_ms}; {action.label}; {action.verb}; {action.noun}"
        for number, action in enumerate(actions, start=1)
    ]
    return "\n".join([ACTION_LABELS_HEADER, *rows]) + "\n"


def index_text(names: Sequence[str]) -> str:
    """Write a file of verb, noun or action names: name and number a line, from 1."""
    return "".join(f"{name} {number}\n" for number, name in enumerate(names, start=1))


def split_text(
    actions: Sequence[LabelledAction], action_names: Sequence[str], verbs: Sequence[str], nouns: Sequence[str]
) -> str:
    """Write a split file: clip name and numbers of action, verb and noun.

    Numbers count from 1; the file is `train_split*.txt` or `test_split*.txt`.

    Raises:
        InputError: a label is not in its list of names.
    """
    return "".join(
        f"{clip_name(action)} {_number(action.label, action_names)} {_number(action.verb, verbs)} "
        f"{_number(action.noun, nouns)}\n"
        for action in actions
    )


def _number(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise InputError(f"label {name!r} is not in the index of {len(names)} names: add it there")
    return names.index(name) + 1


def _row_31(time: int, x: float, y: float, event: str, frame: int) -> str:
    return f"{time}\tSMP\t1\t{x:.2f}\t{y:.2f}\t{frame}\t\t{event}"


def _row_34(time: int, x: float, y: float, event: str, frame: int) -> str:
    point = f"{x:.2f}\t{y:.2f}"
    eyes = "0.10\t" * 12
    return f"{time}\tSMP\t1\t3.10\t3.20\t{point}\t{point}\t{point}\t{eyes}0\t{timecode(frame)}\t\t{event}"


def _preamble(variant: str, samples: int, subject: str) -> list[str]:
    """33 lines; 3.4 has one line more before the number of samples, and one less at the end."""
    newer = variant == "3.4"
    lines = [
        "## [BeGaze]",
        f"## Converted from:\t{subject}.idf",
        "## Date:\t01.01.2020 12:00:00",
        f"## Version:\tBeGaze {'3.4.52' if newer else '3.1.152'}",
        "## IDF Version:\t9",
        "## Sample Rate:\t30",
        "## Separator Type:\tMsg",
        "## Trial Count:\t1",
        "## Uses Plane File:\tFalse",
        *(["## Export Mode:\tRaw Data"] if newer else []),
        f"## Number of Samples:\t{samples}",
        "## Reversed:\tnone",
        "## [Run]",
        f"## Subject:\t{subject}",
        "## Description:\tRun1",
        "## [Calibration]",
        "## Calibration Area:\t1280\t960",
        *(f"## Calibration Point {point}:\tPosition({x};{y})" for point, (x, y) in enumerate(_CALIBRATION_POINTS)),
        "## [Geometry]",
        "## Stimulus Dimension [mm]:\t0\t0",
        "## Head Distance [mm]:\t0",
        "## [Hardware Setup]",
        "## System ID:\tETG",
        "## Operating System:\t6.1.7601",
        "## [Filter Settings]",
        "## Heuristic:\tFalse",
        "## Heuristic Stage:\t0",
        "## Bilateral:\tFalse",
        "## Gaze Cursor Filter:\tFalse",
        "## Saccade Length [px]:\t0",
        "## Filter Depth [ms]:\t0",
    ]
    return [*lines[: PREAMBLE_LINES - 1], "## "]


_CALIBRATION_POINTS = ((640, 480), (320, 240), (960, 240))
