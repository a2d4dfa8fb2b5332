"""Gaze of one video as the store keeps it: arrays over sampled frames and padded points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt8

from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

ARRAYS = ("frame_t_s", "frame_pts", "xy", "raw_xy", "age_s", "event", "error", "occluded_share")


@dataclass(frozen=True)
class FramePoints:
    """Gaze points of one sampled frame, before padding; see `VideoGaze` for the fields."""

    xy: Float[np.ndarray, "point 2"]
    raw_xy: Float[np.ndarray, "point 2"]
    age_s: Float[np.ndarray, "point"]
    event: UInt8[np.ndarray, "point"]
    error: Float[np.ndarray, "point"]
    occluded_share: Float[np.ndarray, "point"]
    carried: int  # how many points came from an earlier frame


@dataclass(frozen=True)
class VideoCounts:
    """What the arrays alone do not tell.

    `events` counts the samples of all windows by their event after carrying, padding left out; `carried`
    those that were looked at in an earlier frame than the sampled one. The other fields are of the gaze of the
    whole video: `samples` by their event, the times of the first and the last one, and the median time between
    two; None where there are too few.
    """

    duration_s: float
    events: Mapping[str, int]
    carried: int
    samples: Mapping[str, int]
    gaze_start_s: float | None
    gaze_end_s: float | None
    gaze_interval_s: float | None


@dataclass(frozen=True)
class VideoGaze:
    """Sampled frames of one video and the gaze before each, F frames × P points.

    `frame_t_s` time of each sample in seconds; `frame_pts` the frame on screen then (for `frames_at`);
    `xy` place in the sampled frame and `raw_xy` in the frame it was looked at in, both normalised, origin
    top left, NaN where untracked; `age_s` ≥ 0 before the sample; `event` a `GazeEvent`, padding is
    `UNTRACKED`; `error` forward-backward error at the point in fractions of the frame's width (∞ if it left
    the frame, 0 for points of the sampled frame itself); `occluded_share` in [0, 1], of the frame that the
    point was looked at in.
    """

    frame_t_s: Float64[np.ndarray, "frame"]
    frame_pts: Int64[np.ndarray, "frame"]
    xy: Float32[np.ndarray, "frame point 2"]
    raw_xy: Float32[np.ndarray, "frame point 2"]
    age_s: Float32[np.ndarray, "frame point"]
    event: UInt8[np.ndarray, "frame point"]
    error: Float32[np.ndarray, "frame point"]
    occluded_share: Float32[np.ndarray, "frame point"]
    counts: VideoCounts

    @classmethod
    def pack(
        cls,
        frame_t_s: Float64[np.ndarray, "frame"],
        frame_pts: Int64[np.ndarray, "frame"],
        rows: Sequence[FramePoints],
        duration_s: float,
        gaze: GazeSamples,
    ) -> "VideoGaze":
        """Pads the points of every frame to the largest number among them (at least 1); `gaze` is the video's."""
        points = max([1, *(len(row.event) for row in rows)])
        xy = np.full((len(rows), points, 2), np.nan, dtype=np.float32)
        raw_xy = xy.copy()
        age_s, error, share = (np.zeros((len(rows), points), dtype=np.float32) for _ in range(3))
        event = np.full((len(rows), points), GazeEvent.UNTRACKED, dtype=np.uint8)
        for i, row in enumerate(rows):
            used = slice(len(row.event))
            xy[i, used], raw_xy[i, used], event[i, used] = row.xy, row.raw_xy, row.event
            age_s[i, used], error[i, used], share[i, used] = row.age_s, row.error, row.occluded_share
        codes = np.concatenate([np.zeros(0, dtype=np.uint8), *(row.event for row in rows)])
        t_s = gaze.t_s
        counts = VideoCounts(
            duration_s=duration_s,
            events=_by_event(codes),
            carried=sum(row.carried for row in rows),
            samples=_by_event(gaze.event),
            gaze_start_s=float(t_s[0]) if len(t_s) else None,
            gaze_end_s=float(t_s[-1]) if len(t_s) else None,
            gaze_interval_s=float(np.median(np.diff(t_s))) if len(t_s) > 1 else None,
        )
        return cls(frame_t_s, frame_pts, xy, raw_xy, age_s, event, error, share, counts)

    def padded(self, points: int) -> "VideoGaze":
        """The same with `points` columns of points.

        Raises:
            ValueError: there are more than `points` already.
        """
        extra = points - self.event.shape[1]
        if extra < 0:
            raise ValueError(f"{self.event.shape[1]} points a frame cannot be padded to {points}")

        def pad(array: np.ndarray, fill: float) -> np.ndarray:
            widths = [(0, 0), (0, extra)] + [(0, 0)] * (array.ndim - 2)
            return np.pad(array, widths, constant_values=fill)

        return replace(
            self,
            xy=pad(self.xy, np.nan),
            raw_xy=pad(self.raw_xy, np.nan),
            age_s=pad(self.age_s, 0),
            event=pad(self.event, GazeEvent.UNTRACKED),
            error=pad(self.error, 0),
            occluded_share=pad(self.occluded_share, 0),
        )


def _by_event(codes: UInt8[np.ndarray, "sample"]) -> dict[str, int]:
    return {code.name.lower(): int(np.sum(codes == code)) for code in GazeEvent}
