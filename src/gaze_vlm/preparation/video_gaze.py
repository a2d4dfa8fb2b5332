"""Gaze of one video as the store keeps it: arrays over sampled frames and padded points."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8
from numpy.typing import DTypeLike

from gaze_vlm.errors import InputError
from gaze_vlm.formats.video import TIME_TOLERANCE_S
from gaze_vlm.gaze.occlusion import FRAME_ETA, LOCAL_EPSILON, OcclusionTest, visible
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

POINTS: dict[str, tuple[DTypeLike, float]] = {  # what there is of each point, its dtype, and what pads it
    "xy": ((np.float32, 2), np.nan),
    "raw_xy": ((np.float32, 2), np.nan),
    "age_s": (np.float32, 0),
    "event": (np.uint8, GazeEvent.UNTRACKED),
    "error": (np.float32, 0),
    "occluded_share": (np.float32, 0),
}
ARRAYS = ("frame_t_s", "frame_pts", *POINTS)
WINDOW_S = 0.2  # the paper's δ
WORST_ERROR = 1.0  # a frame's width
NO_PTS = -(2**63)  # FFmpeg's own mark for no timestamp


@dataclass(frozen=True)
class FramePoints:
    """Gaze points of one sampled frame, before padding; fields as in `VideoGaze`."""

    t_s: float
    pts: int
    xy: Float[np.ndarray, "point 2"]
    raw_xy: Float[np.ndarray, "point 2"]
    age_s: Float[np.ndarray, " point"]
    event: UInt8[np.ndarray, " point"]
    error: Float[np.ndarray, " point"]
    occluded_share: Float[np.ndarray, " point"]
    carried: int  # how many points came from an earlier frame


@dataclass(frozen=True)
class VideoCounts:
    """What the arrays alone do not hold.

    `events` counts the samples of all windows by their event after carrying, padding left out; `carried`
    those that were looked at in an earlier frame than the sampled one. The next four fields are of the gaze of the
    whole video: `samples` by their event, the first and the last time, and, equal ones counted once, the median between
    two; None where there are too few. `video_frames` and `damaged_frames` are of the video, not of the samples;
    `longest_frame_s` is when the frame that stays on screen longest begins and ends. `copy_bytes` and `copy_ends`
    identify the store's copy of the video, if there is one; see `fingerprint`. A file may be older than these three.
    """

    duration_s: float
    events: Mapping[str, int]
    carried: int
    samples: Mapping[str, int]
    gaze_start_s: float | None
    gaze_end_s: float | None
    gaze_interval_s: float | None
    video_frames: int = 0
    damaged_frames: int = 0
    longest_frame_s: tuple[float, float] = (0.0, 0.0)
    copy_bytes: int = 0
    copy_ends: str = ""

    @property
    def damaged_share(self) -> float:
        """Share of the video's frames that cannot be decoded."""
        return self.damaged_frames / self.video_frames if self.video_frames else 0.0

    @property
    def frame_interval_s(self) -> float:
        """Mean time from one frame of the video to the next.

        Raises:
            InputError: the file is of a version that did not count the video's frames.
        """
        if not self.video_frames:
            raise InputError("the store does not know its videos' frame rates: run `gaze-vlm prepare` again")
        return self.duration_s / self.video_frames


@dataclass(frozen=True)
class VideoGaze:
    """Sampled frames of one video and the gaze before each, F frames × P points.

    `frame_t_s` time of each sample in seconds; `frame_pts` the frame on screen then (for `frames_at`), `NO_PTS` if it
    is damaged;
    `xy` place in the sampled frame and `raw_xy` in the frame it was looked at in, both normalised, origin
    top left, NaN where untracked; `age_s` ≥ 0 before the sample; `event` a `GazeEvent`, padding is
    `UNTRACKED`; `error` forward-backward error at the point in fractions of the frame's width, 0 for points of the
    sampled frame itself; `occluded_share` in [0, 1], of the frame that the point was looked at in.

    Of tracked points all of it is finite, and `error` at most `WORST_ERROR` as it is prepared. Of the others only the
    event says something: what left the frame may have an error of ∞.
    """

    frame_t_s: Float64[np.ndarray, " frame"]
    frame_pts: Int64[np.ndarray, " frame"]
    xy: Float32[np.ndarray, "frame point 2"]
    raw_xy: Float32[np.ndarray, "frame point 2"]
    age_s: Float32[np.ndarray, "frame point"]
    event: UInt8[np.ndarray, "frame point"]
    error: Float32[np.ndarray, "frame point"]
    occluded_share: Float32[np.ndarray, "frame point"]
    counts: VideoCounts

    @classmethod
    def pack(cls, rows: Iterable[FramePoints], duration_s: float, gaze: GazeSamples) -> "VideoGaze":
        """Pad the points of every frame to the largest number, at least 1."""
        rows = list(rows)
        lengths = np.array([len(row.event) for row in rows], dtype=int)
        used = np.arange(max([1, *lengths])) < lengths[:, None]

        def padded(name: str) -> np.ndarray:
            dtype, fill = POINTS[name]
            full = np.full(used.shape, fill, dtype=dtype)
            full[used] = np.concatenate([getattr(row, name) for row in rows])
            return full

        apart_s = np.diff(np.unique(gaze.t_s))
        counts = VideoCounts(
            duration_s=duration_s,
            events=_by_event(np.concatenate([row.event for row in rows])),
            carried=sum(row.carried for row in rows),
            samples=_by_event(gaze.event),
            gaze_start_s=float(gaze.t_s[0]) if len(gaze) else None,
            gaze_end_s=float(gaze.t_s[-1]) if len(gaze) else None,
            gaze_interval_s=float(np.median(apart_s)) if len(apart_s) else None,
        )
        return cls(
            frame_t_s=np.array([row.t_s for row in rows]),
            frame_pts=np.array([row.pts for row in rows]),
            **{name: padded(name) for name in POINTS},
            counts=counts,
        )

    @property
    def damaged(self) -> Bool[np.ndarray, " frame"]:
        """Which sampled frames cannot be decoded."""
        return self.frame_pts == NO_PTS

    def invalid_points(self) -> Bool[np.ndarray, "frame point"]:
        """Return which points cannot be as they were prepared.

        They are tracked and have a value that is not finite or out of range, or are of no known event.
        """
        places = np.concatenate([self.xy, self.raw_xy], axis=-1)
        plausible = np.isfinite(places).all(axis=-1)
        for values, most in ((self.age_s, np.inf), (self.error, np.inf), (self.occluded_share, 1.0)):
            plausible &= np.isfinite(values) & (values >= 0) & (values <= most)
        return ((self.event <= GazeEvent.UNKNOWN) & ~plausible) | (self.event > max(GazeEvent))

    def within(self, window_s: float, frames: slice = slice(None)) -> Bool[np.ndarray, "frame point"]:
        """Return which points are in the window (t − `window_s`, t] of their frame.

        A window of 0 is the frame's own interval: one mean frame period of the video, which ends at t. A sample taken
        after t is never used, for the clip may end there.

        Raises:
            InputError: `window_s` is 0 and the file is of a version that did not count the video's frames.
        """
        return self.age_s[frames] < (window_s or self.counts.frame_interval_s) - TIME_TOLERANCE_S

    def valid_points(
        self,
        frames: slice = slice(None),
        window_s: float = WINDOW_S,
        occlusion: OcclusionTest = "local",
        epsilon: float = LOCAL_EPSILON,
        eta: float = FRAME_ETA,
    ) -> Bool[np.ndarray, "frame point"]:
        """Return which points count.

        They are tracked, within the window, and visible by the occlusion test. A frame with such a point has valid
        gaze. Arguments are those of `GazeOptions`, and so are their defaults.

        Raises:
            InputError: the occlusion test is unknown; see `within` too.
        """
        counts = (self.event[frames] <= GazeEvent.UNKNOWN) & self.within(window_s, frames)
        return counts & visible(self.error[frames], self.occluded_share[frames], occlusion, epsilon, eta)

    def padded(self, points: int) -> "VideoGaze":
        """Return the same with `points` columns of points.

        Raises:
            InputError: there are more than `points` already.
        """
        extra = points - self.event.shape[1]
        if extra < 0:
            raise InputError(f"{self.event.shape[1]} points a frame cannot be padded to {points}")

        def pad(name: str) -> np.ndarray:
            array, (_, fill) = getattr(self, name), POINTS[name]
            widths = [(0, 0), (0, extra)] + [(0, 0)] * (array.ndim - 2)
            return np.pad(array, widths, constant_values=fill)

        return replace(self, counts=self.counts, **{name: pad(name) for name in POINTS})


def _by_event(codes: UInt8[np.ndarray, " sample"]) -> dict[str, int]:
    counts = np.bincount(codes, minlength=len(GazeEvent)).tolist()
    return {code.name.lower(): counts[code] for code in GazeEvent}
