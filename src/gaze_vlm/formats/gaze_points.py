"""From the rows of a gaze table to gaze samples, whatever the table's format."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gaze_vlm.formats.text_files import csv_rows
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

FARTHEST = 1e6  # in frames; the store keeps places as float32


def distinct_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Rows of a CSV file, line and fields of `columns`. One that repeats another in all of them counts once, with a
    warning that counts such rows.

    Raises:
        ValueError: no row, or what `csv_rows` finds wrong.
    """
    lines: dict[tuple[str, ...], int] = {}
    total = 0
    for line, fields in csv_rows(path, columns, columns):
        total += 1
        lines.setdefault(tuple(fields), line)
    if not lines:
        raise ValueError(f"{path} has a header and no row: export the gaze again")
    if total > len(lines):
        warnings.warn(f"{path}: {total - len(lines)} rows repeat another and count once", stacklevel=2)
    return [(line, list(fields)) for fields, line in lines.items()]


def placed_samples(
    t_s: Float[np.ndarray, "sample"], xy: Float[np.ndarray, "sample 2"], event: UInt8[np.ndarray, "sample"]
) -> GazeSamples:
    """Samples sorted by time, stably; their events agree with their places.

    Without a finite place a sample becomes `UNTRACKED`, unless it is a `BLINK`, and outside [0, 1] `OUT_OF_FRAME`.
    """
    lost = np.isin(event, (GazeEvent.UNTRACKED, GazeEvent.BLINK))
    nowhere = ~np.isfinite(xy).all(axis=1)
    inside = ((xy >= 0) & (xy <= 1)).all(axis=1)
    found = np.where(nowhere, GazeEvent.UNTRACKED, np.where(inside, event, GazeEvent.OUT_OF_FRAME))
    event = np.where(lost, event, found).astype(np.uint8)
    xy = np.where((lost | nowhere)[:, None], np.nan, np.clip(xy, -FARTHEST, FARTHEST))
    order = np.argsort(t_s, kind="stable")
    return GazeSamples(t_s[order], xy[order], event[order])


def check_scale(gaze: GazeSamples, path: Path, mend: str) -> GazeSamples:
    """`gaze` unchanged, unless it seems to be in other units than those of the frame.

    Raises:
        ValueError: most of the places are outside the frame.
    """
    outside, places = np.sum(gaze.event == GazeEvent.OUT_OF_FRAME), np.sum(np.isfinite(gaze.xy).all(axis=1))
    if 2 * outside > places:
        raise ValueError(f"{path}: {outside} of {places} places are outside the frame; {mend}")
    return gaze
