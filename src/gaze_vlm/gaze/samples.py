"""Gaze samples: the one form that every reader returns, whole videos of them on disk."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gaze_vlm.errors import InputError
from gaze_vlm.spool import Spool, parts


class GazeEvent(IntEnum):
    """What the eye did when a sample was taken. Those up to `UNKNOWN` are places in the frame that were looked at."""

    FIXATION = 0
    SACCADE = 1
    UNKNOWN = 2
    OUT_OF_FRAME = 3
    UNTRACKED = 4
    BLINK = 5


@dataclass(frozen=True)
class GazeSamples:
    """Some gaze of one video, sorted by time.

    Shapes and units: `t_s` seconds from the start of the video; `xy` normalised to the *full* frame, origin at
    the top left, (x, y); `event` one `GazeEvent` a sample. `xy` of an untracked sample or a blink is NaN, so that
    it cannot be mistaken for a place.
    """

    t_s: Float[np.ndarray, "sample"]
    xy: Float[np.ndarray, "sample 2"]
    event: UInt8[np.ndarray, "sample"]

    def __post_init__(self) -> None:
        if not (len(self.t_s) == len(self.xy) == len(self.event)):
            raise InputError(
                f"gaze samples disagree in length: t_s {len(self.t_s)}, xy {len(self.xy)}, event {len(self.event)}"
            )
        if np.any(np.diff(self.t_s) < 0):
            raise InputError("gaze samples are not sorted by time: sort t_s, xy and event together first")

    def __len__(self) -> int:
        return len(self.t_s)

    @property
    def tracked(self) -> Bool[np.ndarray, "sample"]:
        """True where the eye looked at a place inside the frame."""
        return self.event <= GazeEvent.UNKNOWN

    def untracked_in(self, spans_s: Iterable[tuple[float, float]]) -> "GazeSamples":
        """The same, with the samples of these spans (start, end) untracked; both ends belong to a span."""
        lost = np.zeros(len(self), dtype=bool)
        for start_s, end_s in spans_s:
            lost |= (start_s <= self.t_s) & (self.t_s <= end_s)
        return self.untracked_where(lost)

    def untracked_where(self, lost: Bool[np.ndarray, "sample"]) -> "GazeSamples":
        """The same, with these samples untracked."""
        xy = np.where(lost[:, None], np.nan, self.xy)
        event = np.where(lost, np.uint8(GazeEvent.UNTRACKED), self.event)
        return GazeSamples(self.t_s, xy, event)


@dataclass(frozen=True)
class SpooledGaze:
    """All gaze of one video, sorted by time. However long it is, only the slices of it in use are in memory; for the
    columns see `GazeSamples`."""

    t_s: Spool
    xy: Spool
    event: Spool

    @classmethod
    def of(cls, pieces: Iterable[GazeSamples]) -> "SpooledGaze":
        """The gaze that these pieces are, one after the other.

        Raises:
            ValueError: a piece begins before the end of the one before it.
        """
        gaze = cls(Spool(np.float64), Spool((np.float64, 2)), Spool(np.uint8))
        for piece in pieces:
            if np.any(np.diff([*gaze.t_s[-1:], *piece.t_s[:1]]) < 0):
                raise InputError("pieces of gaze are not in order of time: sort them first")
            gaze.t_s.append(piece.t_s)
            gaze.xy.append(piece.xy)
            gaze.event.append(piece.event)
        return gaze

    def __len__(self) -> int:
        return len(self.t_s)

    def __getitem__(self, part: slice) -> GazeSamples:
        return GazeSamples(self.t_s[part], self.xy[part], self.event[part])

    def pieces(self, before: int = 0) -> Iterator[GazeSamples]:
        """All samples, some at a time; each piece begins with the last `before` samples that precede it."""
        return (self[max(0, part.start - before) : part.stop] for part in parts(len(self)))

    def window(self, after_s: float, until_s: float) -> GazeSamples:
        """Samples with `after_s` < t ≤ `until_s`."""
        return self[self._until(after_s) : self._until(until_s)]

    def count(self, after_s: float, until_s: float) -> int:
        """Number of samples with `after_s` < t ≤ `until_s`."""
        return self._until(until_s) - self._until(after_s)

    def _until(self, t_s: float) -> int:
        """Number of samples up to `t_s`."""
        return bisect_right(range(len(self)), t_s, key=lambda i: self.t_s[i : i + 1][0])
