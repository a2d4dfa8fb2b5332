"""Gaze samples: the one form that every reader returns."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from gaze_vlm.errors import InputError


class GazeEvent(IntEnum):
    """What the eye did when a sample was taken; up to `UNKNOWN` it saw the frame."""

    FIXATION = 0
    SACCADE = 1
    UNKNOWN = 2
    OUT_OF_FRAME = 3
    UNTRACKED = 4
    BLINK = 5


@dataclass(frozen=True)
class GazeSamples:
    """Gaze of one video, or of a part of it, sorted by time: what every reader of a data set returns.

    Args:
        t_s: times [sample], in seconds from the video's first frame.
        xy: places [sample, 2], (x, y) normalised to the *full* frame, origin top left. That of an untracked sample or a
            blink is NaN, so that it cannot be mistaken for a place.
        event: one `GazeEvent` a sample [sample].

    Raises:
        InputError: they differ in length, or are not sorted by time.

    Example:
        Three samples at 30 Hz, of which the last is a blink:

        >>> samples = GazeSamples(
        ...     t_s=np.array([0.0, 1 / 30, 2 / 30]),
        ...     xy=np.array([[0.40, 0.50], [0.41, 0.50], [np.nan, np.nan]]),
        ...     event=np.array([GazeEvent.FIXATION, GazeEvent.FIXATION, GazeEvent.BLINK], dtype=np.uint8),
        ... )
        >>> len(samples.window(after_s=0.0, until_s=0.1)), samples.tracked.tolist()
        (2, [True, True, False])
    """

    t_s: Float64[np.ndarray, " sample"]
    xy: Float64[np.ndarray, "sample 2"]
    event: UInt8[np.ndarray, " sample"]

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
    def tracked(self) -> Bool[np.ndarray, " sample"]:
        """True where the eye looked at a place inside the frame."""
        return self.event <= GazeEvent.UNKNOWN

    def window(self, after_s: float, until_s: float) -> "GazeSamples":
        """Return the samples with `after_s` < t ≤ `until_s`."""
        part = slice(*np.searchsorted(self.t_s, (after_s, until_s), side="right"))
        return GazeSamples(self.t_s[part], self.xy[part], self.event[part])

    def untracked_in(self, spans_s: Iterable[tuple[float, float]]) -> "GazeSamples":
        """Mark the samples in these spans, both ends included, as untracked."""
        lost = np.zeros(len(self), dtype=bool)
        for start_s, end_s in spans_s:
            lost |= (start_s <= self.t_s) & (self.t_s <= end_s)
        return self.untracked_where(lost)

    def untracked_where(self, lost: Bool[np.ndarray, " sample"]) -> "GazeSamples":
        """Mark these samples as untracked."""
        xy = np.where(lost[:, None], np.nan, self.xy)
        event = np.where(lost, np.uint8(GazeEvent.UNTRACKED), self.event)
        return GazeSamples(self.t_s, xy, event)
