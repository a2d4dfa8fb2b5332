"""Gaze of Pupil Invisible and Neon, as Pupil Cloud and Neon Player export it."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gaze_vlm.errors import InputError
from gaze_vlm.formats.csv_tables import csv_header, csv_rows, known_columns, parse_number
from gaze_vlm.formats.gaze_points import check_places, distinct_rows, placed_samples
from gaze_vlm.formats.text_files import is_whole
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

TIME = "timestamp [ns]"
COLUMNS = (TIME, "gaze x [px]", "gaze y [px]")
PARTS = {"recording id": "recording", "section id": "section"}  # exports of before have no sections
FIXATION, BLINK = "fixation id", "blink id"
OPTIONAL = (*PARTS, "worn", FIXATION, BLINK)
MOST_DIGITS = 19  # of nanoseconds since 1970, to the year 2262
FILE = "gaze.csv"
WORLD = "world_timestamps.csv"
CORE_TIME = "# timestamps [seconds]"  # of the frames in an export of Pupil Player
APART_S = 0.5  # some frames more or less, at the ends of a video
SAME_FRAMES = 0.01  # share by which two numbers of frames may differ
OTHER_PACE = 0.05  # of a video that was certainly written at another rate
WORN = {"": True, "true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
WORN |= {"255": True, "255.0": True}  # as in a Neon's own files; exports made on a computer copy it


def read_pupil_gaze(path: Path, width_px: int, height_px: int, video: VideoInfo | None = None) -> GazeSamples:
    """Read `gaze.csv`, with `world_timestamps.csv` beside it.

    Time: both files count nanoseconds of one clock. The first world timestamp is the video's first frame, time 0.

    Points: pixels of the scene camera's frame, `width_px` × `height_px`, origin top left.

    Events: not worn is `UNTRACKED`, with a blink id a sample is a `BLINK`, with a fixation id a `FIXATION`; an id of -1
        stands for none. Pupil Labs takes what is between fixations for saccades, so the rest are `SACCADE` in a file
        that has fixations, and `UNKNOWN` in one that has none.

    Video: a row of the world timestamps is a frame of `video`, whose length they are compared with; None is not
        compared.

    Raises:
        InputError: one of the files is missing, empty or of another export, a row cannot be read, the files are of
            several recordings or sections, most places are outside the frame, or the video was written anew at another
            rate.
    """
    world = frames_table(path, FILE, TIME)
    parts: dict[str, str] = {}
    times_ns = [_nanoseconds(row[TIME], world, line) for line, row in _table(world, (TIME,), parts)]
    if not times_ns:
        raise InputError(f"{world} has a header and no row: export the recording again")
    start_ns = min(times_ns)
    if video is not None:
        check_frames(world, len(times_ns), (max(times_ns) - start_ns) / 1e9, video)
    rows = distinct_rows(_rows(path, start_ns, parts), 4, path)
    event = rows[:, 3].astype(np.uint8)
    if np.any(event == GazeEvent.FIXATION):
        event[event == GazeEvent.UNKNOWN] = GazeEvent.SACCADE
    gaze = placed_samples(rows[:, 0], rows[:, 1:3] / (width_px, height_px), event)
    fix = "set frame_width_px and frame_height_px to the camera's"
    return check_places(gaze, path, fix, (width_px, height_px))


def frames_table(path: Path, name: str, column: str) -> Path:
    """Find the table of the times of a video's frames beside an export's gaze, by its name in any case.

    Args:
        path: of the gaze.
        name: that its file has in an export.
        column: of the times, in the same clock.

    Raises:
        InputError: it is missing, or of the other kind of export.
    """
    files = {file.name.lower(): file for file in sorted(path.parent.iterdir())}
    world = files.get(WORLD, path.with_name(WORLD))
    if not world.is_file():
        fix = "export the recording again, with its world video, or copy it there"
        fix = fix if path.name.lower() == name else f"put both into a folder {path.stem}, the gaze as {name}"
        raise InputError(f"{world} is missing: gaze is timed by it; {fix}")
    header = csv_header(world)
    if not known_columns(header, (column,)) and (other := known_columns(header, (TIME, CORE_TIME))):
        raise InputError(
            f"{world} has the column {other[0]} and is of another export than {path.name}, which goes with a column "
            f"{column}: give each export a folder of its own"
        )
    return world


def check_frames(world: Path, rows: int, first_to_last_s: float, video: VideoInfo) -> None:
    """Check that the frames of `video` have the times in `world`, as far as its header says; one row says nothing.

    Args:
        world: the table of times.
        rows: of it, a frame each.
        first_to_last_s: between the times of its first and its last row.
        video: the header.

    Raises:
        InputError: the video was written anew at another rate.
    """
    if rows < 2 or not video.duration_s > 0:
        return
    span_s = first_to_last_s * rows / (rows - 1)  # to the end of the last frame
    apart_s = abs(span_s - video.duration_s)
    if apart_s <= APART_S:
        return
    frames = f"{video.frames} frames" if video.frames else "frames"
    said = f"{world} has {rows} frames over {span_s:.1f} s, and the video {frames} over {video.duration_s:.1f} s"
    if video.frames and abs(video.frames - rows) <= SAME_FRAMES * rows:
        fix = "the video was written anew at another rate: use the export's own, or keep the times of its frames"
        if apart_s > OTHER_PACE * span_s:
            raise InputError(f"{said}: {fix}")
    else:
        fix = "use the export's own video, whole; of one that was cut at its start, gaze is late"
    warnings.warn(f"{said}: {fix}", stacklevel=3)


def _table(path: Path, columns: tuple[str, ...], parts: dict[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines and rows of a table. All are of the recording and the section in `parts`, which the first row fills."""
    names = [*columns, *known_columns(csv_header(path), OPTIONAL)]
    for line, fields in csv_rows(path, names, names):
        row = dict(zip(names, fields, strict=True))
        for name, part in PARTS.items():
            id_ = row.get(name, "").strip()
            if id_ and parts.setdefault(name, id_) != id_:
                raise InputError(
                    f"{path}, line {line}: another {part} begins, {id_!r} after {parts[name]!r}; "
                    f"give each {part} a folder of its own, with its rows of gaze.csv and {WORLD}"
                )
        yield line, row


def _rows(path: Path, start_ns: int, parts: dict[str, str]) -> Iterator[tuple[float, float, float, GazeEvent]]:
    for line, row in _table(path, COLUMNS, parts):
        x_px, y_px = (parse_number(row[name], name, path, line) for name in COLUMNS[1:])
        yield (_nanoseconds(row[TIME], path, line) - start_ns) / 1e9, x_px, y_px, _event(row, path, line)


def _event(row: dict[str, str], path: Path, line: int) -> GazeEvent:
    """The event of one row; `UNKNOWN` between those that have an id."""
    worn = row.get("worn", "").strip().lower()
    if worn not in WORN:
        raise InputError(f"{path}, line {line}: worn is {row['worn']!r}; expected 1.0 or 0.0, true or false")
    if not WORN[worn]:
        return GazeEvent.UNTRACKED
    if _has_id(row, BLINK, path, line):
        return GazeEvent.BLINK
    if _has_id(row, FIXATION, path, line):
        return GazeEvent.FIXATION
    return GazeEvent.UNKNOWN


def _has_id(row: dict[str, str], name: str, path: Path, line: int) -> bool:
    """Whether the sample is of such an event. Where a recording has none at all, a whole column may be -1."""
    return parse_number(row.get(name, ""), name, path, line) >= 0  # an empty field is NaN


def _nanoseconds(field: str, path: Path, line: int) -> int:
    """A timestamp as a whole number, for as a float it would lose some hundred nanoseconds."""
    if not is_whole(field.strip(), MOST_DIGITS):
        raise InputError(f"{path}, line {line}: {TIME} is {field!r}; expected a whole number, fix or delete the row")
    return int(field)
