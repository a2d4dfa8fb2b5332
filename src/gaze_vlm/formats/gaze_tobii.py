"""Gaze of Tobii Pro Glasses 2 and 3, as their recording units write it: JSON, a packet a line, compressed or not."""

import gzip
import math
import warnings
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from gaze_vlm.errors import InputError
from gaze_vlm.formats.gaze_points import check_places, distinct_rows, placed_samples
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples
from gaze_vlm.json_files import damage_refused, member, parse_object

GLASSES_2_FILES = ("livedata.json.gz", "livedata.json")
GLASSES_3_FILES = ("gazedata.gz", "gazedata")
TICK_HZ = 1_000_000  # of the clock of Glasses 2
MOST_BYTES = 2**16  # of a packet, which has hundreds
GZIP = b"\x1f\x8b"
FIX = "copy the file from the recording unit's card again"
APART_S = 2.0  # of the ends of gaze and video, which the unit stops together
NOWHERE = (math.nan, math.nan)


def read_tobii2_gaze(path: Path, video: VideoInfo | None = None) -> GazeSamples:
    """Read `livedata.json.gz` of a segment of Tobii Pro Glasses 2.

    Time: `ts` counts microseconds of the unit's clock. Packets with `vts` 0 say when the video began; the last of them
        counts.

    Points: `gp`, normalised to the frame of the segment's `fullstream.mp4`, origin top left. A packet whose status `s`
        is not 0 is `UNTRACKED`, and the others are `UNKNOWN`.

    Video: a warning says where gaze and `video` end `APART_S` or more apart; None is not compared.

    Raises:
        InputError: the file is cut short or damaged, holds no gaze, does not say when the video began, or most places
            are outside the frame.
    """
    starts: list[float] = []
    rows = distinct_rows(_of_glasses_2(path, starts), 3, path, TICK_HZ)
    if not starts:
        raise InputError(f"{path} has no packet with vts 0, which says when the video began: {FIX}")
    return _samples((rows[:, 0] - max(starts)) / TICK_HZ, rows[:, 1:], path, video)


def read_tobii3_gaze(path: Path, video: VideoInfo | None = None) -> GazeSamples:
    """Read `gazedata.gz` of a recording of Tobii Pro Glasses 3.

    Time: `timestamp` counts seconds from the first frame of the recording's `scenevideo.mp4`.

    Points: `gaze2d`, normalised to the frame, origin top left. A packet without it is `UNTRACKED`, and the others are
        `UNKNOWN`.

    Video: a warning says where gaze and `video` end `APART_S` or more apart; None is not compared.

    Raises:
        InputError: the file is cut short or damaged, holds no gaze, or most places are outside the frame.
    """
    rows = distinct_rows(_of_glasses_3(path), 3, path)
    return _samples(rows[:, 0], rows[:, 1:], path, video)


def _samples(
    t_s: Float64[np.ndarray, " sample"], xy: Float64[np.ndarray, "sample 2"], path: Path, video: VideoInfo | None
) -> GazeSamples:
    if video is not None and video.duration_s > 0 and abs(t_s[-1] - video.duration_s) >= APART_S:
        warnings.warn(
            f"{path}: gaze ends at {t_s[-1]:.1f} s, and the video at {video.duration_s:.1f} s: use the recording's own "
            "video, whole; of one that was cut at its start, gaze is late",
            stacklevel=3,
        )
    gaze = placed_samples(t_s, xy, np.full(len(t_s), GazeEvent.UNKNOWN, dtype=np.uint8))
    return check_places(gaze, path, f"the unit writes shares of the frame: {FIX}")


def _of_glasses_2(path: Path, starts: list[float]) -> Iterator[tuple[float, float, float]]:
    """Times and places of the packets of gaze; the times at which a video began are added to `starts`."""
    found = False
    for where, packet in _packets(path):
        with damage_refused(where, FIX):
            if packet.get("vts") == 0 and packet.get("s") == 0:
                starts.append(member(packet, "ts", float))
            if "gp" in packet:
                found = True
                yield member(packet, "ts", float), *(_place(packet, "gp") if packet.get("s") == 0 else NOWHERE)
    _check_found(found, path)


def _of_glasses_3(path: Path) -> Iterator[tuple[float, float, float]]:
    """Times and places of the packets of gaze."""
    found = False
    for where, packet in _packets(path):
        with damage_refused(where, FIX):
            if packet.get("type") == "gaze":
                found = True
                yield member(packet, "timestamp", float), *_place(member(packet, "data", dict), "gaze2d")
    _check_found(found, path)


def _check_found(found: bool, path: Path) -> None:
    if not found:
        raise InputError(f"{path} has no packet of gaze: leave a recording without calibration out, or {FIX}")


def _place(packet: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Two shares of the frame; NaN where the packet has none."""
    if not packet.get(name):
        return NOWHERE
    x, y = member(packet, name, tuple[float, ...])
    return x, y


def _packets(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Packets, each with the file and its line for messages."""
    with path.open("rb") as file:
        compressed = file.read(len(GZIP)) == GZIP
    try:
        with gzip.open(path) if compressed else path.open("rb") as lines:
            for number, line in enumerate(iter(partial(lines.readline, MOST_BYTES), b""), 1):
                if line.strip():
                    where = f"{path}, line {number}"
                    yield where, parse_object(line, where, FIX)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is cut short or damaged ({error}): {FIX}") from error
