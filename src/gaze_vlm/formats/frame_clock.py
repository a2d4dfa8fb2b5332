"""Times of gaze samples that two clocks tell: the number of a video's frame, and a tracker's finer time."""

import numpy as np
from jaxtyping import Float64

BEFORE_NEXT_S = 2e-6  # how long before the next frame a sample of this one may be at the latest
ROUNDING_S = 6e-7  # of the tracker's whole microseconds: a sample may seem to be as much before its frame


class FrameClock:
    """Places samples in the frames that they name, and inside a frame by the tracker's time.

    The first sample is at the start of its frame. From there the tracker's time counts; its offset to the frames is
    changed by as little as puts each sample into its own frame, and kept.

    Args:
        frame_hz: rate of the frames.
        first_frame: frame of the first sample, counted from 0.
        first_us: its time on the tracker's clock.
    """

    def __init__(self, frame_hz: float, first_frame: float, first_us: float) -> None:
        self.frame_hz = frame_hz
        self.first_frame = first_frame
        self.first_us = first_us
        self.offset_s = 0.0
        self.parted_s = 0.0
        """How far the tracker's clock has parted from the frames since the first sample, at most."""
        self._last_s = -np.inf

    def by_tracker(self, time_us: Float64[np.ndarray, "sample"]) -> Float64[np.ndarray, "sample"]:
        """Seconds of the video by the tracker's clock, which the first sample alone ties to the frames."""
        return self.first_frame / self.frame_hz + (time_us - self.first_us) / 1e6

    def by_frame(
        self, frame: Float64[np.ndarray, "sample"], time_us: Float64[np.ndarray, "sample"]
    ) -> Float64[np.ndarray, "sample"]:
        """Seconds of the video of samples that continue those of the call before, in order of frame and time."""
        t_s = self.by_tracker(time_us)
        least = frame / self.frame_hz - t_s
        most = (frame + 1) / self.frame_hz - BEFORE_NEXT_S - t_s
        offsets_s = np.empty(len(t_s))
        for i, (low, high) in enumerate(zip(least.tolist(), most.tolist(), strict=True)):
            if not low - ROUNDING_S <= self.offset_s <= high:
                self.offset_s = min(max(self.offset_s, low), high)
            offsets_s[i] = self.offset_s
        self.parted_s = max(self.parted_s, float(np.abs(offsets_s).max(initial=0.0)))
        # Rounding may not put a sample before the one before it.
        t_s = np.maximum.accumulate(np.concatenate([[self._last_s], t_s + offsets_s]))[1:]
        self._last_s = float(t_s[-1]) if len(t_s) else self._last_s
        return t_s
