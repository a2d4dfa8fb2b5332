"""From the rows of a gaze table to gaze samples, whatever the table's format."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, UInt8

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples, SpooledGaze
from gaze_vlm.spool import Spool

FARTHEST = 1e6  # in frames; the store keeps places as float32


def distinct_rows(rows: Iterable[Sequence[float]], columns: int, path: Path) -> Spool:
    """The rows of a table in order. One that repeats another counts once, with a warning that counts such rows.

    Raises:
        ValueError: no row.
    """
    table = number_table(rows, columns)
    if not len(table):
        raise InputError(f"{path} has a header and no row: export the gaze again")
    kept = Spool(table.dtype)
    for piece in in_order(table):
        kept.append(without_repeats(piece))
    if len(kept) < len(table):
        warnings.warn(f"{path}: {len(table) - len(kept)} rows repeat another and count once", stacklevel=2)
    return kept


def number_table(rows: Iterable[Sequence[float]], columns: int) -> Spool:
    """The rows as numbers."""
    table = Spool((np.float64, columns))
    table.extend(rows)
    return table


def in_order(table: Spool, column: int = 0) -> Iterator[Float64[np.ndarray, "row column"]]:
    """The rows of a table in pieces, sorted stably by a column, by default the time; rows of one time are in one piece.

    Held in memory is what a later row of the table may still precede: next to nothing of a table that is in order.
    """
    earliest = [piece[:, column].min() for piece in table.pieces()]
    limits = np.minimum.accumulate([np.inf, *earliest[:0:-1]])[::-1]  # the earliest of all pieces after each one
    held = table[:0]
    for piece, limit in zip(table.pieces(), limits, strict=False):
        held = np.concatenate([held, piece])
        held = held[np.argsort(held[:, column], kind="stable")]
        ready = np.searchsorted(held[:, column], limit)
        yield held[:ready]
        held = held[ready:]


def without_repeats(table: Float64[np.ndarray, "row column"]) -> Float64[np.ndarray, "row column"]:
    """The first of all rows that are equal, in their order; NaN equals NaN here."""
    order = np.lexsort(table.T[::-1])
    repeats = np.ones(max(0, len(table) - 1), dtype=bool)
    for column in table.T:
        one, next_ = column[order[:-1]], column[order[1:]]
        repeats &= (one == next_) | (np.isnan(one) & np.isnan(next_))
    return np.delete(table, order[1:][repeats], axis=0) if repeats.any() else table


def placed_samples(
    t_s: Float[np.ndarray, "sample"], xy: Float[np.ndarray, "sample 2"], event: UInt8[np.ndarray, "sample"]
) -> GazeSamples:
    """Samples, sorted by time as they are, whose events agree with their places.

    Without a finite place a sample becomes `UNTRACKED`, unless it is a `BLINK`, and outside [0, 1] `OUT_OF_FRAME`.
    """
    lost = np.isin(event, (GazeEvent.UNTRACKED, GazeEvent.BLINK))
    nowhere = ~np.isfinite(xy).all(axis=1)
    inside = ((xy >= 0) & (xy <= 1)).all(axis=1)
    found = np.where(nowhere, GazeEvent.UNTRACKED, np.where(inside, event, GazeEvent.OUT_OF_FRAME))
    event = np.where(lost, event, found).astype(np.uint8)
    xy = np.where((lost | nowhere)[:, None], np.nan, np.clip(xy, -FARTHEST, FARTHEST))
    return GazeSamples(t_s, xy, event)


def check_scale(gaze: SpooledGaze, path: Path, mend: str) -> SpooledGaze:
    """`gaze` unchanged, unless it seems to be in other units than those of the frame.

    Raises:
        ValueError: most of the places are outside the frame.
    """
    outside = sum(np.sum(events == GazeEvent.OUT_OF_FRAME) for events in gaze.event.pieces())
    places = sum(np.sum(np.isfinite(xy).all(axis=1)) for xy in gaze.xy.pieces())
    if 2 * outside > places:
        raise InputError(f"{path}: {outside} of {places} places are outside the frame; {mend}")
    return gaze
