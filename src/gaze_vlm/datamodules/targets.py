"""Targets of attention from a file, in place of gaze: points, boxes and masks of frames (docs/targets.md)."""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.formats.csv_tables import csv_header, csv_rows, parse_finite
from gaze_vlm.formats.text_files import read_lines
from gaze_vlm.gaze.regions import Box, FrameRegions, Mask, Region, Spot
from gaze_vlm.json_files import parse_object, shown
from gaze_vlm.suggestions import did_you_mean, nearest_path

FIX = "docs/targets.md shows the keys"
PLACES: dict[str, tuple[str, ...]] = {"point": ("x", "y"), "box": ("left", "top", "right", "bottom")}
SIZE = ("width_px", "height_px")
COLUMNS = ("video_id", "time_s", "kind", "x", "y", "left", "top", "right", "bottom", *SIZE, "rle", "png", "weight")
FAR = 2.0  # a share beyond it is in pixels
MOST_PIXELS = 2**28  # of a mask, which takes a byte a pixel in memory
EXACT_S = 1e-6


@dataclass(frozen=True)
class Targets:
    """The regions of a file's videos.

    Args:
        file: that they were read from.
        within_s: a frame takes the targets nearest to its time, if they are no further from it.
        videos: of each video of the store the times in seconds, rising, and the regions of each.
        unknown: how many lines are of videos that the store lacks.
    """

    file: Path
    within_s: float
    videos: Mapping[str, tuple[Sequence[float], Sequence[Sequence[Region]]]]
    unknown: int

    def regions(self, video_id: str, times_s: Sequence[float], sigma: float, aspect: float) -> FrameRegions:
        """Return the regions of some frames of a video, by the frames' times."""
        return FrameRegions([self._nearest(video_id, time_s) for time_s in times_s], sigma, aspect)

    def _nearest(self, video_id: str, time_s: float) -> Sequence[Region]:
        times, regions = self.videos.get(video_id, ((), ()))
        after = bisect_left(times, time_s)
        near = [index for index in (after - 1, after) if 0 <= index < len(times)]
        best = min(near, key=lambda index: abs(times[index] - time_s), default=None)
        if best is None or abs(times[best] - time_s) > self.within_s + EXACT_S:
            return ()
        return regions[best]


def read_targets(file: Path, video_ids: Sequence[str], within_s: float) -> Targets:
    """Read targets from JSON Lines, or from a table with a header (.csv, .tsv, .txt).

    Args:
        file: a line a region.
        video_ids: of the store; lines of other videos are counted.
        within_s: see `Targets`.

    Raises:
        MissingFileError: there is no such file, or a mask's picture is missing.
        InputError: a line lacks a key or has a value that cannot be, or no line is of a video of the store.
    """
    if not file.is_file():
        raise MissingFileError(f"data.targets: {file} does not exist{nearest_path(file)}")
    found: dict[str, dict[float, list[Region]]] = {video_id: {} for video_id in video_ids}
    unknown: dict[str, int] = {}
    for line, row in _json_rows(file) if file.suffix in (".jsonl", ".json") else _table_rows(file):
        where = f"{file}, line {line}"
        video_id, region = str(_required(row, "video_id", where)), _region(row, file, line)
        time_s = _number(row, "time_s", file, line)
        if video_id in found:
            found[video_id].setdefault(time_s, []).append(region)
        else:
            unknown[video_id] = unknown.get(video_id, 0) + 1
    if not any(found.values()):
        name = next(iter(unknown), None)
        said = "has no line" if name is None else f"names {name!r} and no video of the store"
        raise InputError(
            f"{file} {said}: give it the video ids of the store's manifest{did_you_mean(name or '', found)}"
        )
    videos = {video_id: (sorted(at), [at[time] for time in sorted(at)]) for video_id, at in found.items() if at}
    return Targets(file, within_s, videos, sum(unknown.values()))


def _json_rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(read_lines(file), start=1):
        if line.strip():
            yield number, parse_object(line, f"{file}, line {number}", FIX)


def _table_rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows as of JSON, without the fields that are empty."""
    names = csv_header(file)
    if unknown := [name for name in names if name not in COLUMNS]:
        raise InputError(
            f"{file} has a column {unknown[0]!r}: use {', '.join(COLUMNS)}{did_you_mean(unknown[0], COLUMNS)}"
        )
    for line, fields in csv_rows(file, names, names):
        row: dict[str, Any] = {name: field.strip() for name, field in zip(names, fields, strict=True) if field.strip()}
        if "rle" in row:
            row["rle"] = parse_object(row["rle"], f"{file}, line {line}, rle", FIX)
        yield line, row


def _region(row: Mapping[str, Any], file: Path, line: int) -> Region:
    where = f"{file}, line {line}"
    if unknown := [name for name in row if name not in COLUMNS]:
        raise InputError(
            f"{where} has a key {unknown[0]!r}: use {', '.join(COLUMNS)}{did_you_mean(unknown[0], COLUMNS)}"
        )
    weight = _number(row, "weight", file, line) if "weight" in row else 1.0
    if weight <= 0:
        raise InputError(f"{where}: weight is {weight:g}; expected a number above 0, or delete the line")
    kind = str(_required(row, "kind", where))
    if kind == "mask":
        return _mask(row, file, where, weight)
    if kind not in PLACES:
        raise InputError(f"{where}: kind is {kind!r}; expected point, box or mask")
    sizes = [_number(row, name, file, line) for name in SIZE if name in row]
    if len(sizes) == 1 or not all(size > 0 for size in sizes):
        raise InputError(f"{where}: width_px and height_px are the size of the frame that the pixels are of: give both")
    width, height = sizes or (1.0, 1.0)
    values = [_number(row, name, file, line) for name in PLACES[kind]]
    shares = [value / side for value, side in zip(values, (width, height, width, height), strict=False)]
    for name, value, share in zip(PLACES[kind], values, shares, strict=True):
        if abs(share) > FAR:
            fix = "the frame is smaller" if sizes else "shares are 0 to 1, of pixels give width_px and height_px too"
            raise InputError(f"{where}: {name} is {value:g}, far outside the frame: {fix}")
    if kind == "point":
        if not all(0 <= share <= 1 for share in shares):
            raise InputError(
                f"{where}: the point {values[0]:g}, {values[1]:g} is outside the frame: fix or delete the line"
            )
        return Spot(shares[0], shares[1], weight)
    left, top, right, bottom = (min(max(share, 0.0), 1.0) for share in shares)
    if not (left < right and top < bottom):
        raise InputError(
            f"{where}: the box has no area in the frame: left must be below right and top below bottom, with the "
            "origin at the top left; fix or delete the line"
        )
    return Box(left, top, right, bottom, weight)


def _mask(row: Mapping[str, Any], file: Path, where: str, weight: float) -> Mask:
    if ("rle" in row) == ("png" in row):
        raise InputError(f"{where}: a mask has rle or png: give one of them")
    if "png" in row:
        picture = file.parent / str(row["png"])
        if not picture.is_file():
            raise MissingFileError(f"{where}: png: {picture} does not exist{nearest_path(picture)}")
        return Mask(file=picture, weight=weight)
    rle = row["rle"]
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
        runs = _decompressed(counts) if isinstance(counts, str) else tuple(int(count) for count in counts)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f'{where}: rle is {json.dumps(rle)[:60]}; expected COCO\'s form, {{"size": [height, width], "counts": …}}'
        ) from error
    if min(height, width) < 1 or height * width > MOST_PIXELS:
        raise InputError(
            f"{where}: the rle's size is {shown(height)} × {shown(width)}; expected 1 to {MOST_PIXELS} pixels"
        )
    if min(runs, default=-1) < 0 or sum(runs) != height * width:
        raise InputError(
            f"{where}: the rle's counts are of {shown(sum(runs))} pixels, its size is {height} × {width}: fix the line"
        )
    if not any(runs[1::2]):
        raise InputError(f"{where}: the rle has no pixel inside: delete the line, a frame without a target has none")
    return Mask(runs, (height, width), weight=weight)


def _decompressed(counts: str) -> tuple[int, ...]:
    """The run lengths of COCO's compressed string.

    Five bits a character, the lowest first, with a bit for more of the same number; the fourth number and those behind
    it are differences from the one two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts.encode():
        bits = character - 48
        if not 0 <= bits < 64:
            raise ValueError(character)
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError(counts)
    return tuple(runs)


def _required(row: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in row:
        raise InputError(f"{where} has no {key}: {FIX}")
    return row[key]


def _number(row: Mapping[str, Any], key: str, file: Path, line: int) -> float:
    return parse_finite(str(_required(row, key, f"{file}, line {line}")), key, file, line)
