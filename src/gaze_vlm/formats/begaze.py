"""Gaze text of SMI BeGaze: tab separated, latin-1, in the column layouts of versions 3.1 and 3.4."""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gaze_vlm.errors import InputError
from gaze_vlm.formats.frame_clock import times_by_frame, times_by_tracker
from gaze_vlm.formats.gaze_points import number_table
from gaze_vlm.formats.text_files import is_whole
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

BEGAZE_WIDTH_PX = 1280
BEGAZE_HEIGHT_PX = 960
FRAME_HZ = 24  # rate of the scene camera, which the Frame column counts in
EVENTS = {"fixation": GazeEvent.FIXATION, "saccade": GazeEvent.SACCADE, "blink": GazeEvent.BLINK}
TIME, PLACE, EVENT, FRAME, OVERFLOW = 0, slice(1, 3), 3, 4, 5  # columns of what `_rows` yields
MOST_IN_FRAME_S = 2 / FRAME_HZ
MAX_STEP_BACK_S = 1.0  # rows may swap places; a larger jump back means another clock


@dataclass(frozen=True)
class Columns:
    """Where a row keeps its values: indices into the row split by `split`."""

    split: Callable[[str], list[str]]
    count: int
    x: int
    y: int
    frame: int
    event: int


def by_tabs(line: str) -> list[str]:
    """Split a tab-separated row into its fields; empty fields are kept."""
    return [field.strip() for field in line.rstrip("\r\n").split("\t")]


TOKEN_LAYOUTS = {  # tokens of a row split at white space, where the empty Aux1 column vanishes
    7: Columns(str.split, 7, x=3, y=4, frame=5, event=6),
    26: Columns(str.split, 26, x=5, y=6, frame=24, event=25),
}


def read_begaze(path: Path) -> GazeSamples:
    """Read one export of either version.

    Columns are found by the header line; without one, or for rows that do not fit it, by their position among
    the white-space separated tokens (7 in version 3.1, 26 in 3.4).

    Time: the Frame column, counted from 0 at 24 fps, says in which frame a sample was taken, as in the data set's
        official loader. The Time column, microseconds of another clock, says where in it; see `times_by_frame`. So
        times are right to a frame (42 ms) however far the clocks part. Where that is more than a frame, a warning
        says how far. Timecodes that are not of 24 fps place the first sample alone, and a warning says so.

    Points: blinks are `BLINK` and other (0, 0) are `UNTRACKED`, with NaN for xy; points outside 1280 × 960 px
        are `OUT_OF_FRAME` and keep their place. Rows whose Type is not SMP are skipped. Several samples of one
        frame are all kept.

    Raises:
        InputError: there is no sample, a row cannot be read, or no Frame column can place the samples.
    """
    table = number_table(_rows(path), 6)
    if not len(table):
        raise InputError(f"{path}: no SMP rows; export the gaze again from BeGaze as raw data with samples")
    frame, time_us = table[:, FRAME], table[:, TIME]
    if table[:, OVERFLOW].any():
        warnings.warn(
            f"{path}: timecodes count {FRAME_HZ} frames a second or more, so gaze goes by the Time column; was it "
            f"exported at {FRAME_HZ} fps?",
            stacklevel=2,
        )
        order = np.argsort(time_us, kind="stable")
        t_s = times_by_tracker(frame, time_us, FRAME_HZ)[order]
    else:
        _check_frames(path, frame, time_us)
        order = np.lexsort((time_us, frame))
        t_s, parted_s = times_by_frame(frame[order], time_us[order], FRAME_HZ)
        if parted_s > 1 / FRAME_HZ:
            warnings.warn(
                f"{path}: its Time and Frame columns part by up to {parted_s:.2f} s of the {t_s[-1] - t_s[0]:.0f} s; "
                "gaze goes by the Frame column",
                stacklevel=2,
            )
    return GazeSamples(t_s, table[order, PLACE], table[order, EVENT].astype(np.uint8))


def _check_frames(path: Path, frame: Float64[np.ndarray, " sample"], time_us: Float64[np.ndarray, " sample"]) -> None:
    """Check that samples whose times are of several frames do not all name one.

    Raises:
        InputError: they do.
    """
    span_s = np.ptp(time_us) / 1e6
    if np.ptp(frame) == 0 and span_s > MOST_IN_FRAME_S:
        raise InputError(
            f"{path}: Frame is {frame[0]:.0f} in all {len(frame)} rows, whose times span {span_s:.1f} s, so gaze "
            "cannot be placed in the video; export it again with the video's frames"
        )


def _rows(path: Path) -> Iterator[tuple[float, float, float, GazeEvent, int, bool]]:
    """Time in µs, normalised place, event, frame, and whether the frame's timecode is too large, of every sample."""
    header: Columns | None = None
    last_us = -math.inf
    with path.open(encoding="latin-1") as lines:
        for number, line in enumerate(lines, start=1):
            if line.startswith("##") or not line.strip():
                continue
            if line.split(maxsplit=1)[0] == "Time":
                header = _columns_of_header(line, f"{path}, line {number}")
                continue
            tokens = line.split()
            if len(tokens) < 2 or tokens[1] != "SMP":
                continue
            where = f"{path}, line {number}"
            fields, columns = _fields(line, header, where)
            time_us = _number(fields[0], "Time", where)
            if (back_s := (last_us - time_us) / 1e6) > MAX_STEP_BACK_S:
                raise InputError(
                    f"{where}: time runs back by {back_s:.1f} s; split the export where its clock starts again"
                )
            last_us = time_us
            frame, overflow = _frame(fields[columns.frame], where)
            (x, y), event = _point(fields[columns.x], fields[columns.y], fields[columns.event], where)
            yield time_us, x, y, event, frame, overflow


def _columns_of_header(line: str, where: str) -> Columns | None:
    """Columns that the header names; None if it does not name them all.

    Raises:
        InputError: it names all but the Frame column.
    """
    names = by_tabs(line)
    eye = next((eye for eye in "BLR" if f"{eye} POR X [px]" in names and f"{eye} POR Y [px]" in names), None)
    event = next((i for i, name in enumerate(names) if name.endswith("Event Info")), None)
    if eye is None or event is None or names[:2] != ["Time", "Type"]:
        return None
    if "Frame" not in names:
        raise InputError(f"{where}: no Frame column, so gaze cannot be placed in the video; export it again with one")
    x, y = names.index(f"{eye} POR X [px]"), names.index(f"{eye} POR Y [px]")
    return Columns(by_tabs, len(names), x=x, y=y, frame=names.index("Frame"), event=event)


def _fields(line: str, header: Columns | None, where: str) -> tuple[list[str], Columns]:
    if header is not None:
        fields = header.split(line)
        if len(fields) == header.count:
            return fields, header
    tokens = line.split()
    if len(tokens) not in TOKEN_LAYOUTS:
        expected = "7 or 26 columns" if header is None else f"the {header.count} columns of the header"
        raise InputError(f"{where}: {len(tokens)} values where {expected} are expected; is the file cut short?")
    return tokens, TOKEN_LAYOUTS[len(tokens)]


def _point(x_field: str, y_field: str, event_field: str, where: str) -> tuple[tuple[float, float], GazeEvent]:
    """Normalised place and event of one row."""
    event = EVENTS.get(event_field.lower(), GazeEvent.UNKNOWN)
    if event == GazeEvent.BLINK:
        return (math.nan, math.nan), event
    if x_field == y_field == "-":  # BeGaze's mark for no data
        return (math.nan, math.nan), GazeEvent.UNTRACKED
    x_px, y_px = _number(x_field, "x", where), _number(y_field, "y", where)
    if x_px == 0 and y_px == 0:
        return (math.nan, math.nan), GazeEvent.UNTRACKED
    if not (0 <= x_px <= BEGAZE_WIDTH_PX and 0 <= y_px <= BEGAZE_HEIGHT_PX):
        event = GazeEvent.OUT_OF_FRAME
    return (x_px / BEGAZE_WIDTH_PX, y_px / BEGAZE_HEIGHT_PX), event


def _number(field: str, name: str, where: str) -> float:
    try:
        value = float(field)
    except ValueError as error:
        raise InputError(f"{where}: {name} is {field!r}, not a number; fix or delete the row") from error
    if not math.isfinite(value):
        raise InputError(f"{where}: {name} is {field!r}, not a finite number; fix or delete the row")
    return value


def _frame(field: str, where: str) -> tuple[int, bool]:
    """Frame number, and whether a timecode counts more frames than a second has."""
    parts = field.split(":")
    if not all(map(is_whole, parts)) or len(parts) not in (1, 4):
        raise InputError(f"{where}: Frame is {field!r}; expected a whole number or HH:MM:SS:FF")
    if len(parts) == 1:
        return int(field), False
    hours, minutes, seconds, frames = map(int, parts)
    return ((hours * 60 + minutes) * 60 + seconds) * FRAME_HZ + frames, frames >= FRAME_HZ
