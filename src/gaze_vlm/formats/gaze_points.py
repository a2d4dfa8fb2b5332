"""From the rows of a gaze table to gaze samples, whatever the table's format."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, UInt8

from gaze_vlm.errors import InputError
from gaze_vlm.formats.csv_tables import parse_number
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

FARTHEST = 1e6  # in frames; the store keeps places as float32
ENOUGH = 100  # places for a judgement
MANY_OUTSIDE = 0.05
MANY_ON_BORDER = 0.01  # no eye rests on the very border
MANY_AT_ONCE = 3  # samples of one time: of two eyes, and of what was made of both
MIN_CONFIDENCE = 0.6  # Pupil Labs' own threshold for useful gaze, on a scale from 0 to 1
MOST_CONFIDENCE = 1.001  # with room for rounding
FARTHEST_BACK_S = 1.0  # of one row's time behind the row before, in one recording


def distinct_rows(
    rows: Iterable[Sequence[float]], columns: int, path: Path, rate_hz: float = 1.0
) -> Float64[np.ndarray, "row column"]:
    """Sort the rows of a table by time.

    A row that repeats another counts once, and a warning counts these. Another is `warn_of_shared_times`.

    Args:
        rows: of the table, time first.
        columns: of a row.
        path: of the table.
        rate_hz: units of time a second.

    Raises:
        InputError: there is no row, or time starts anew within the table.
    """
    table = number_table(rows, columns)
    if not len(table):
        raise InputError(f"{path} has a header and no row: export the gaze again")
    t_s = table[:, 0] / rate_hz
    back_s = -np.diff(t_s, prepend=t_s[0])
    row = int(np.argmax(back_s))
    if back_s[row] > FARTHEST_BACK_S:
        raise InputError(
            f"{path}, row {row + 1}: its time, {t_s[row]:.9g} s, is {back_s[row]:.9g} s before that of the row above. "
            "If these are two recordings, give each a file; if it is one, sort its rows by time"
        )
    kept = without_repeats(by_time(table))
    if len(kept) < len(table):
        warnings.warn(f"{path}: {len(table) - len(kept)} rows repeat another and count once", stacklevel=2)
    warn_of_shared_times(kept[:, 0], path)
    return kept


def warn_of_shared_times(t_s: Float64[np.ndarray, " sample"], path: Path) -> None:
    """Warn where more than `MANY_AT_ONCE` samples share a time on average, as where a spreadsheet has rounded times.

    Args:
        t_s: times of all samples of a table, in any unit; fewer than `ENOUGH` are not judged.
        path: of the table.
    """
    each = len(t_s) / max(1, len(np.unique(t_s)))
    if len(t_s) >= ENOUGH and each > MANY_AT_ONCE:
        warnings.warn(
            f"{path}: on average {each:.1f} samples share a time: were times rounded, as by a spreadsheet? Export the "
            "gaze again, and keep its times to the millisecond",
            stacklevel=3,
        )


def number_table(rows: Iterable[Sequence[float]], columns: int) -> Float64[np.ndarray, "row column"]:
    """Collect rows into one array.

    Rows come one by one: as Python's numbers an hour at 200 Hz would take 500 MB.
    """
    return np.fromiter(rows, dtype=(np.float64, columns))


def by_time(table: Float64[np.ndarray, "row column"]) -> Float64[np.ndarray, "row column"]:
    """Sort the rows by their first column; rows of one time stay in their order."""
    return table[np.argsort(table[:, 0], kind="stable")]


def without_repeats(table: Float64[np.ndarray, "row column"]) -> Float64[np.ndarray, "distinct column"]:
    """Drop rows that repeat an earlier one; here NaN equals NaN."""
    order = np.lexsort(table.T[::-1])
    repeats = np.ones(max(0, len(table) - 1), dtype=bool)
    for column in table.T:
        one, next_ = column[order[:-1]], column[order[1:]]
        repeats &= (one == next_) | (np.isnan(one) & np.isnan(next_))
    return np.delete(table, order[1:][repeats], axis=0) if repeats.any() else table


def parse_confidence(field: str, path: Path, line: int) -> float:
    """Return a confidence from 0 to 1; an empty one is NaN, which is not at least anything.

    Raises:
        InputError: the field is no number, or above 1.
    """
    confidence = parse_number(field, "confidence", path, line)
    if confidence > MOST_CONFIDENCE:
        raise InputError(
            f"{path}, line {line}: confidence is {field!r}; expected 0 to 1: divide by 100 if it is in percent"
        )
    return confidence


def placed_samples(
    t_s: Float[np.ndarray, " sample"], xy: Float[np.ndarray, "sample 2"], event: UInt8[np.ndarray, " sample"]
) -> GazeSamples:
    """Make samples, sorted already, whose events agree with their places.

    Without a finite place a sample becomes `UNTRACKED`, unless it is a `BLINK`, and outside [0, 1] `OUT_OF_FRAME`.
    """
    lost = np.isin(event, (GazeEvent.UNTRACKED, GazeEvent.BLINK))
    nowhere = ~np.isfinite(xy).all(axis=1)
    inside = ((xy >= 0) & (xy <= 1)).all(axis=1)
    found = np.where(nowhere, GazeEvent.UNTRACKED, np.where(inside, event, GazeEvent.OUT_OF_FRAME))
    event = np.where(lost, event, found).astype(np.uint8)
    xy = np.where((lost | nowhere)[:, None], np.nan, np.clip(xy, -FARTHEST, FARTHEST))
    return GazeSamples(t_s, xy, event)


def check_places(gaze: GazeSamples, path: Path, fix: str, size_px: tuple[int, int] | None = None) -> GazeSamples:
    """Return `gaze` unchanged, after a check of its places.

    Of `ENOUGH` places or more it warns, in a line each: where `MANY_OUTSIDE` of them are outside the frame, or all but
    (0, 0) are in its upper left quarter; where more than `MANY_ON_BORDER` are one corner of the frame, or are on its
    border, or more than half are one place. Of `ENOUGH` samples it warns where none has a place.

    Args:
        gaze: samples of one table.
        path: of the table.
        fix: what to do where the scale is wrong.
        size_px: width and height of the frame that the table's pixels were taken to be of; None if it has shares.

    Raises:
        InputError: most of the places are outside the frame.
    """
    xy = gaze.xy[np.isfinite(gaze.xy).all(axis=1)]
    outside = int(np.sum(gaze.event == GazeEvent.OUT_OF_FRAME))
    if 2 * outside > len(xy):
        raise InputError(f"{path}: {outside} of {len(xy)} places are outside the frame ({_range(xy, size_px)}); {fix}")
    if not len(xy) and len(gaze) >= ENOUGH:
        warnings.warn(
            f"{path}: none of {len(gaze)} samples is tracked: was the tracker calibrated, and its confidence not below "
            "min_confidence? Else leave the video out",
            stacklevel=3,
        )
    if len(xy) < ENOUGH:
        return gaze
    if outside >= MANY_OUTSIDE * len(xy):
        said = f"{100 * outside / len(xy):.0f} % of the places are outside the frame ({_range(xy, size_px)}); {fix}"
    elif len(seen := xy[xy.any(axis=1)]) >= ENOUGH and (seen < 0.5).all():
        said = f"no place is in the lower or the right half of the frame ({_range(xy, size_px)}); {fix}"
    else:
        said = ""
    for text in (said, _repeated(xy)):
        if text:
            warnings.warn(f"{path}: {text}", stacklevel=3)
    return gaze


def _repeated(xy: Float[np.ndarray, "place 2"]) -> str:
    """What is said of places that stand for lost gaze, or for gaze outside the frame."""
    places, counts = np.unique(xy[:, 0] + 1j * xy[:, 1], return_counts=True)
    place, most = places[counts.argmax()], counts.max() / len(xy)
    is_corner = {place.real, place.imag} <= {0.0, 1.0}
    if most > (MANY_ON_BORDER if is_corner else 0.5):
        at = f"({place.real:.4g}, {place.imag:.4g})"
        return f"{100 * most:.0f} % of the places are exactly {at}: leave x and y of lost samples empty"
    on_border = float(np.mean(((xy == 0) | (xy == 1)).any(axis=1)))
    if on_border > MANY_ON_BORDER:
        return (
            f"{100 * on_border:.0f} % of the places are exactly on the frame's border: leave places outside the frame "
            "as they are, and x and y of lost samples empty"
        )
    return ""


def _range(xy: Float[np.ndarray, "place 2"], size_px: tuple[int, int] | None) -> str:
    """The places that were seen, in the table's own unit."""
    (left, top), (right, bottom) = (bound * (size_px or (1, 1)) for bound in (xy.min(axis=0), xy.max(axis=0)))
    taken = f" of {size_px[0]}×{size_px[1]} px, as it was taken" if size_px else ""
    return f"x from {left:.4g} to {right:.4g}, y from {top:.4g} to {bottom:.4g}{taken}"
