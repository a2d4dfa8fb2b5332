"""Gaze of one video as the store keeps it: arrays over sampled frames and padded points."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8

from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

ARRAYS = ("frame_t_s", "frame_pts", "xy", "raw_xy", "age_s", "event", "error", "occluded_share")
NO_PTS = -(2**63)  # FFmpeg's own mark for no timestamp


@dataclass(frozen=True)
class FramePoints:
    """Gaze points of one sampled frame, before padding; see `VideoGaze` for the fields."""

    t_s: float
    pts: int
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
    those that were looked at in an earlier frame than the sampled one. The next four fields are of the gaze of the
    whole video: `samples` by their event, the times of the first and the last one, and the median time between
    two; None where there are too few. `video_frames` and `damaged_frames` are of the video, not of the samples.
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

    @property
    def damaged_share(self) -> float:
        """Share of the video's frames that cannot be decoded."""
        return self.damaged_frames / self.video_frames if self.video_frames else 0.0


@dataclass(frozen=True)
class VideoGaze:
    """Sampled frames of one video and the gaze before each, F frames × P points.

    `frame_t_s` time of each sample in seconds; `frame_pts` the frame on screen then (for `frames_at`), `NO_PTS` if it
    is damaged;
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
    def pack(cls, rows: Iterable[FramePoints], duration_s: float, gaze: GazeSamples) -> "VideoGaze":
        """Pads the points of every frame to the largest number among them (at least 1); `gaze` is the video's.

        Rows are copied as they come: thousands of small arrays would keep the memory between them from being reused.
        """
        t_s, pts, lengths, carried = array("d"), array("q"), array("q"), 0
        columns = {name: array("B" if name == "event" else "f") for name in ARRAYS[2:]}
        for row in rows:
            t_s.append(row.t_s)
            pts.append(row.pts)
            lengths.append(len(row.event))
            carried += row.carried
            for name, column in columns.items():
                column.frombytes(getattr(row, name).astype(column.typecode).tobytes())
        used = np.arange(max([1, *lengths])) < np.array(lengths, dtype=int)[:, None]

        def padded(name: str, fill: float) -> np.ndarray:
            flat = np.array(columns[name])
            values = flat.reshape(-1, 2) if name in ("xy", "raw_xy") else flat
            full = np.full((*used.shape, *values.shape[1:]), fill, dtype=flat.dtype)
            full[used] = values
            return full

        counts = VideoCounts(
            duration_s=duration_s,
            events=_by_event(np.array(columns["event"])),
            carried=carried,
            samples=_by_event(gaze.event),
            gaze_start_s=float(gaze.t_s[0]) if len(gaze) else None,
            gaze_end_s=float(gaze.t_s[-1]) if len(gaze) else None,
            gaze_interval_s=float(np.median(np.diff(gaze.t_s))) if len(gaze) > 1 else None,
        )
        return cls(
            frame_t_s=np.array(t_s),
            frame_pts=np.array(pts),
            xy=padded("xy", np.nan),
            raw_xy=padded("raw_xy", np.nan),
            age_s=padded("age_s", 0),
            event=padded("event", GazeEvent.UNTRACKED),
            error=padded("error", 0),
            occluded_share=padded("occluded_share", 0),
            counts=counts,
        )

    @property
    def damaged(self) -> Bool[np.ndarray, "frame"]:
        """Which sampled frames cannot be decoded."""
        return self.frame_pts == NO_PTS

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
