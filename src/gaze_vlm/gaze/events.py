"""Fixations and saccades where a data set does not tell them apart."""

from dataclasses import replace

import numpy as np

from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

SACCADE_VELOCITY = 30 * 40 / 1088
"""Default threshold, 1.1 frame widths a second: 40 px of 1088 from one frame at 30 fps to the next, by which the
labels in use for Ego4D were made. Behind a lens of 90° it is about 100°/s, which Salvucci & Goldberg (2000) give as the
upper bound of fixations."""
LONGEST_STEP_S = 0.075
"""Samples further apart say nothing about velocity: a saccade, 30 to 80 ms long, fits between them. So gaze at 10 Hz
stays as it is."""


def identify_saccades(gaze: GazeSamples, aspect: float, threshold: float = SACCADE_VELOCITY) -> GazeSamples:
    """Turns `UNKNOWN` samples into fixations and saccades by velocity-threshold identification (I-VT).

    A sample whose point-to-point velocity is above the threshold is a saccade, any other a fixation (Salvucci &
    Goldberg 2000, "Identifying fixations and saccades in eye-tracking protocols"). A sample's velocity is that of the
    step to it from the sample before, or, where there is no such step, of the one from it to the next. A step joins
    two successive samples that are both tracked, differ in time, and are at most `LONGEST_STEP_S` apart: gaps, blinks
    and points out of the frame break it. A sample with no step on either side stays `UNKNOWN`.

    Velocity is of gaze in the frame: pursuit, and a fixation while the head turns, can pass for a saccade, and so can
    noise at high rates (0.005 frame widths are 1 width a second at 200 Hz).

    Args:
        gaze: samples with any events; only `UNKNOWN` ones change.
        aspect: the frame's width over its height.
        threshold: in frame widths a second, above 0; see `widths_per_second` for degrees.

    Raises:
        ValueError: `threshold` is not above 0.
    """
    if not threshold > 0:
        raise ValueError(f"the velocity threshold is {threshold}; expected frame widths a second, above 0")
    xy = np.where(gaze.tracked[:, None], gaze.xy, np.nan)
    length = np.linalg.norm(np.diff(xy, axis=0) / np.array([1.0, aspect]), axis=-1)
    step_s = np.diff(gaze.t_s)
    is_step = gaze.tracked[1:] & gaze.tracked[:-1] & (step_s > 0) & (step_s <= LONGEST_STEP_S)
    is_fast = is_step & (length > threshold * step_s)
    before, after = np.append([False], is_step), np.append(is_step, [False])
    moves = np.where(before, np.append([False], is_fast), np.append(is_fast, [False]))
    found = np.where(moves, GazeEvent.SACCADE, GazeEvent.FIXATION).astype(np.uint8)
    return replace(gaze, event=np.where((gaze.event == GazeEvent.UNKNOWN) & (before | after), found, gaze.event))


def with_events(gaze: GazeSamples, aspect: float, threshold: float | None) -> GazeSamples:
    """`gaze` with saccades identified, if all that is tracked is `UNKNOWN`; unchanged if not, or without threshold."""
    if threshold is None or np.any(gaze.event[gaze.tracked] != GazeEvent.UNKNOWN):
        return gaze
    return identify_saccades(gaze, aspect, threshold)


def widths_per_second(degrees_s: float, field_of_view_deg: float) -> float:
    """A velocity in frame widths a second, from degrees a second and the camera's horizontal field of view.

    Degrees are spread evenly over the frame, as by a fisheye lens. A rectilinear lens of 90° has a fifth fewer frame
    widths to a degree at the centre, and more at the border.
    """
    return degrees_s / field_of_view_deg
