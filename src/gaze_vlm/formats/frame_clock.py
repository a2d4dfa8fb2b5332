"""Times of gaze samples from two clocks: a video's frame numbers, and a tracker's finer time."""

import numpy as np
from jaxtyping import Float64

BEFORE_NEXT_S = 2e-6  # how long before the next frame a sample of this one may be at the latest
ROUNDING_S = 6e-7  # of the tracker's whole microseconds: a sample may seem to be as much before its frame
Column = Float64[np.ndarray, " sample"]


def times_by_tracker(frame: Column, time_us: Column, frame_hz: float) -> Column:
    """Return seconds of the video, tied to the frames by the first sample alone."""
    return frame[0] / frame_hz + (time_us - time_us[0]) / 1e6


def times_by_frame(frame: Column, time_us: Column, frame_hz: float) -> tuple[Column, float]:
    """Place samples in their frames, and inside a frame by the tracker's time.

    The first sample is at the start of its frame. From there the tracker's time counts. Its offset to the frames is
    changed by as little as puts each sample into its own frame, and kept.

    Args:
        frame: frame of each sample, counted from 0, ascending.
        time_us: its time on the tracker's clock, ascending in each frame.
        frame_hz: rate of the frames.

    Returns:
        Seconds of the video, and how far the tracker's clock parts from the frames, at most.
    """
    t_s = times_by_tracker(frame, time_us, frame_hz)
    least = frame / frame_hz - t_s
    most = (frame + 1) / frame_hz - BEFORE_NEXT_S - t_s
    offset_s, offsets_s = 0.0, np.empty(len(t_s))
    for i, (low, high) in enumerate(zip(least.tolist(), most.tolist(), strict=True)):
        if not low - ROUNDING_S <= offset_s <= high:
            offset_s = min(max(offset_s, low), high)
        offsets_s[i] = offset_s
    # Rounding may not put a sample before the one before it.
    return np.maximum.accumulate(t_s + offsets_s), float(np.abs(offsets_s).max())
