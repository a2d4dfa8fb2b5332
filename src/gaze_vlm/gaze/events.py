"""Fixations and saccades where a data set does not distinguish them."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64, Int

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

SACCADE_VELOCITY = 30 * 40 / 1088
"""Default threshold, 1.1 frame widths a second: 40 px of 1088 from one frame at 30 fps to the next, by which the
labels in use for Ego4D were made. Behind a lens of 90° it is about 100°/s, which Salvucci & Goldberg (2000) give as the
upper bound of fixations."""
LONGEST_GAP_S = 0.075
"""Samples further apart say nothing about velocity: a saccade, 30 to 80 ms long, fits between them. So gaze at 10 Hz
stays as it is."""
SPAN_S = 1 / 30
"""Velocity is taken over about this long, the time that the default threshold was made for. From one sample to the next
at 200 Hz it would be noise: a tenth of the moves inside a Neon's own fixations are above 1.6 frame widths a second."""


def identify_saccades(gaze: GazeSamples, aspect: float, threshold: float = SACCADE_VELOCITY) -> GazeSamples:
    """Turn `UNKNOWN` samples into fixations and saccades by velocity (I-VT).

    A sample whose velocity is above the threshold is a saccade, any other a fixation (Salvucci & Goldberg 2000,
    "Identifying fixations and saccades in eye-tracking protocols"). Velocity is distance over time from one sample to
    the k-th after it, k being what makes the span nearest to `SPAN_S` at the file's rate: 1 at 30 Hz, 7 at 200 Hz. The
    span lies about the sample, and with k = 1 ends at it.

    Spans stay within a run: successive samples that are all tracked, and are at most `LONGEST_GAP_S`
    apart. Gaps, blinks and points out of the frame end a run; near its ends the span is moved into it, and in a run of
    fewer than k gaps the span is the run. A sample that is a run by itself stays `UNKNOWN`.

    Samples of one time, as of two eyes, count as one at the mean of their places, and have one event.

    Velocity is of gaze in the frame: pursuit, and a fixation while the head turns, can pass for a saccade. A saccade
    shorter than the span seems slower than it is.

    Args:
        gaze: samples with any events; only `UNKNOWN` ones change.
        aspect: the frame's width over its height.
        threshold: in frame widths a second, above 0; see `widths_per_second` for degrees.

    Raises:
        InputError: `threshold` is not above 0.
    """
    if not threshold > 0:
        raise InputError(f"the velocity threshold is {threshold}; expected frame widths a second, above 0")

    t_s, group = np.unique(gaze.t_s, return_inverse=True)
    if len(t_s) < len(gaze):
        event = identify_saccades(_means(gaze, t_s, group), aspect, threshold).event[group]
        return replace(gaze, event=np.where(gaze.event == GazeEvent.UNKNOWN, event, gaze.event))
    in_one_run, index = _in_one_run(gaze), np.arange(len(gaze))
    if not in_one_run.any():
        return gaze
    gaps = max(1, round(SPAN_S / float(np.median(np.diff(gaze.t_s)[in_one_run]))))
    first = np.maximum.accumulate(np.where(np.append([False], in_one_run), 0, index))  # of each sample's run
    last = np.minimum.accumulate(np.where(np.append(in_one_run, [False]), len(gaze), index)[::-1])[::-1]
    start = np.maximum(first, np.minimum(index - (gaps + 1) // 2, last - gaps))
    end = np.minimum(start + gaps, last)
    length = np.hypot(*(axis[end] - axis[start] for axis in (gaze.xy[:, 0], gaze.xy[:, 1] / aspect)))
    moves = length > threshold * (gaze.t_s[end] - gaze.t_s[start])
    found = np.where(moves, GazeEvent.SACCADE, GazeEvent.FIXATION).astype(np.uint8)
    return replace(gaze, event=np.where((gaze.event == GazeEvent.UNKNOWN) & (first < last), found, gaze.event))


def _means(gaze: GazeSamples, t_s: Float64[np.ndarray, " time"], group: Int[np.ndarray, " sample"]) -> GazeSamples:
    """One sample a time: at the mean of its tracked places, and `UNKNOWN` where one of them is."""
    weights = np.bincount(group, gaze.tracked, len(t_s))
    xy = np.full((len(t_s), 2), np.nan)
    for axis in range(2):
        sums = np.bincount(group, np.where(gaze.tracked, gaze.xy[:, axis], 0), len(t_s))
        np.divide(sums, weights, out=xy[:, axis], where=weights > 0)
    event = np.full(len(t_s), GazeEvent.UNTRACKED, dtype=np.uint8)
    event[group[gaze.tracked]] = GazeEvent.FIXATION
    event[group[gaze.event == GazeEvent.UNKNOWN]] = GazeEvent.UNKNOWN
    return GazeSamples(t_s, xy, event)


def _in_one_run(gaze: GazeSamples) -> Bool[np.ndarray, " gap"]:
    """Whether each two successive samples are of one run."""
    return gaze.tracked[1:] & gaze.tracked[:-1] & (np.diff(gaze.t_s) <= LONGEST_GAP_S)


def with_events(gaze: GazeSamples, aspect: float, threshold: float | None) -> GazeSamples:
    """Identify saccades, unless `gaze` has events of its own.

    It is unchanged if a tracked sample is not `UNKNOWN`, or without a threshold.
    """
    if threshold is None or np.any(gaze.event < GazeEvent.UNKNOWN):
        return gaze
    return identify_saccades(gaze, aspect, threshold)


def widths_per_second(degrees_s: float, field_of_view_deg: float) -> float:
    """Convert degrees a second to frame widths a second.

    Degrees are spread evenly over the frame, as by a fisheye lens. A rectilinear lens of 90° has a fifth fewer frame
    widths to a degree at the centre, and more at the border.
    """
    return degrees_s / field_of_view_deg
