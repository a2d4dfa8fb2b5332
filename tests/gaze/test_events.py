"""Saccades by velocity, against a loop and at the edges."""

import math

import numpy as np
import pytest

from gaze_vlm.gaze.events import (
    LONGEST_GAP_S,
    SACCADE_VELOCITY,
    SPAN_S,
    identify_saccades,
    widths_per_second,
    with_events,
)
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

FIXATION, SACCADE, UNKNOWN, OUT, UNTRACKED, BLINK = GazeEvent


def gaze_of(t_s: list[float], x: list[float], event: list[int] | None = None, y: float = 0.5) -> GazeSamples:
    xy = np.stack([np.array(x, dtype=float), np.full(len(x), y)], axis=-1)
    event = [UNKNOWN] * len(x) if event is None else event
    xy[np.isin(event, (UNTRACKED, BLINK))] = np.nan
    return GazeSamples(np.array(t_s), xy, np.array(event, dtype=np.uint8))


def events(gaze: GazeSamples, aspect: float = 1.0, threshold: float = 1.0) -> list[int]:
    return identify_saccades(gaze, aspect, threshold).event.tolist()


def reference(gaze: GazeSamples, aspect: float, threshold: float) -> list[int]:
    """One run of samples after the other, of samples of one time their mean."""
    if len(set(gaze.t_s)) < len(gaze):
        t_s, rows = sorted(set(gaze.t_s)), []
        for t in t_s:
            here = np.flatnonzero((gaze.t_s == t) & (gaze.event <= UNKNOWN))
            one = gaze.xy[here].mean(axis=0) if len(here) else np.full(2, np.nan)
            rows.append((*one, max(gaze.event[here], default=UNTRACKED)))
        x, y, event = np.array(rows).T
        merged = GazeSamples(np.array(t_s), np.stack([x, y], axis=1), event.astype(np.uint8))
        of_time = dict(zip(t_s, reference(merged, aspect, threshold), strict=True))
        pairs = zip(gaze.event.tolist(), gaze.t_s, strict=True)
        return [of_time[t] if event == UNKNOWN else event for event, t in pairs]
    found, runs = gaze.event.tolist(), [[0]]
    for k in range(1, len(gaze)):
        known = max(gaze.event[k - 1], gaze.event[k]) <= UNKNOWN
        joined = known and 0 < gaze.t_s[k] - gaze.t_s[k - 1] <= LONGEST_GAP_S
        runs[-1].append(k) if joined else runs.append([k])
    steps = max(1, round(SPAN_S / np.median(np.concatenate([np.diff(gaze.t_s[run]) for run in runs]))))
    for run in (run for run in runs if len(run) > 1):
        for place, k in enumerate(run):
            start = max(0, min(place - math.ceil(steps / 2), len(run) - 1 - steps))
            i, j = run[start], run[min(start + steps, len(run) - 1)]
            x, y = gaze.xy[j] - gaze.xy[i]
            if found[k] == UNKNOWN:
                found[k] = SACCADE if math.hypot(x, y / aspect) / (gaze.t_s[j] - gaze.t_s[i]) > threshold else FIXATION
    return found


def test_two_fixations_and_the_saccade_between_them() -> None:
    t_s = [k / 30 for k in range(9)]
    x = [0.2, 0.201, 0.2, 0.3, 0.4, 0.5, 0.501, 0.5, 0.501]
    assert events(gaze_of(t_s, x)) == [FIXATION] * 3 + [SACCADE] * 3 + [FIXATION] * 3


def test_noise_at_200_hz_is_no_saccade() -> None:
    """A Neon's own steps inside fixations have a median of 0.0025 frame widths; 7 of them span 35 ms."""
    x = np.where(np.arange(200) < 100, 0.3, 0.5) + np.random.default_rng(0).normal(0, 0.003, 200)
    x[98:102] = [0.34, 0.38, 0.42, 0.46]  # 20 to 25 ms in flight
    gaze = gaze_of([k / 200 for k in range(200)], x.tolist())
    step = np.abs(np.diff(x[:98])) * 200
    assert np.mean(step > SACCADE_VELOCITY) > 0.1  # what a velocity from sample to sample would call saccades
    moves = np.flatnonzero(np.array(events(gaze, threshold=SACCADE_VELOCITY)) == SACCADE)
    assert moves.tolist() == list(range(moves[0], moves[-1] + 1))
    assert 93 <= moves[0] <= 98 <= 102 <= moves[-1] <= 106


def test_velocity_is_in_frame_widths_also_down_the_frame() -> None:
    t_s, xy = np.array([0.0, 0.05]), np.array([[0.5, 0.5], [0.5, 0.58]])  # 1.6 frame heights a second
    gaze = GazeSamples(t_s, xy, np.full(2, UNKNOWN, dtype=np.uint8))
    assert events(gaze, aspect=1.0, threshold=1.5) == [SACCADE] * 2
    assert events(gaze, aspect=1.25, threshold=1.5) == [FIXATION] * 2  # 1.28 frame widths


@pytest.mark.parametrize("rates", [[0, 0.005, 0.02, 0.07, 0.2], [0.005, 0.005, 0.006, 0.01, 0.2], [0.03, 0.04]])
def test_equals_a_loop(rates: list[float]) -> None:
    rng = np.random.default_rng(0)
    t_s = np.cumsum(rng.choice(rates, 2000))
    event = rng.choice([*GazeEvent, *[UNKNOWN] * 20], 2000)
    gaze = gaze_of(t_s.tolist(), np.cumsum(rng.normal(0, 0.02, 2000)).tolist(), event.tolist())
    found = events(gaze, 1.3, 1.0)
    assert found == reference(gaze, 1.3, 1.0)
    assert set(found) == set(GazeEvent)


@pytest.mark.parametrize("between", [UNTRACKED, BLINK, OUT])
def test_what_is_not_in_the_frame_breaks_velocity(between: int) -> None:
    gaze = gaze_of(
        [0.0, 0.01, 0.02, 0.03, 0.04], [0.1, 0.1, 0.5, 0.9, 0.9], [UNKNOWN, UNKNOWN, between, UNKNOWN, UNKNOWN]
    )
    assert events(gaze) == [FIXATION, FIXATION, between, FIXATION, FIXATION]


def test_a_gap_breaks_velocity_and_a_lonely_sample_stays_unknown() -> None:
    assert events(gaze_of([0.0, 0.01, 0.2, 0.21], [0.1, 0.1, 0.9, 0.9])) == [FIXATION] * 4
    assert events(gaze_of([0.0, 0.2, 0.21], [0.1, 0.9, 0.9])) == [UNKNOWN, FIXATION, FIXATION]
    assert events(gaze_of([0.0, 0.1, 0.2], [0.1, 0.5, 0.9])) == [UNKNOWN] * 3  # 10 Hz
    assert events(gaze_of([0.0], [0.5])) == [UNKNOWN]
    assert events(gaze_of([], [])) == []


def test_samples_of_one_moment_count_as_one_at_their_mean() -> None:
    """Two eyes, 0.04 apart, that move together, one of them lost for a moment."""
    x = [0.2] * 10 + [0.3, 0.4] + [0.5] * 10
    t_s = [k / 60 for k in range(len(x))]
    one = events(gaze_of(t_s, x))
    both = gaze_of([t for t in t_s for _ in "lr"], [value + eye for value in x for eye in (-0.02, 0.02)])
    assert SACCADE in one
    assert events(both) == [event for event in one for _ in "lr"]
    both.event[3], both.xy[3] = UNTRACKED, np.nan
    assert events(both)[:8] == [FIXATION] * 3 + [UNTRACKED] + [FIXATION] * 4
    assert events(gaze_of([0.0, 0.01, 0.01, 0.02], [0.1, 0.1, 0.9, 0.9])) == [SACCADE] * 4


def test_events_that_are_known_stay() -> None:
    gaze = gaze_of([0.0, 0.03, 0.06], [0.1, 0.5, 0.5], [FIXATION, FIXATION, UNKNOWN])
    assert events(gaze) == [FIXATION, FIXATION, FIXATION]
    unknown = gaze_of([0.0, 0.01], [0.1, 0.1])
    assert with_events(gaze, 1.0, 1.0) is gaze  # a file with events of its own is left as it is
    assert with_events(unknown, 1.0, None) is unknown
    lost = gaze_of([0.0, 0.01, 0.02, 0.03], [0.1, 0.1, 0, 2.0], [UNKNOWN, UNKNOWN, BLINK, OUT])
    assert with_events(lost, 1.0, 1.0).event.tolist() == [FIXATION, FIXATION, BLINK, OUT]


def test_the_default_is_the_threshold_of_the_labels_in_use() -> None:
    """More than 40 px of 1088 from one frame to the next, at 30 fps."""
    for step_px, event in ((39.9, FIXATION), (40.1, SACCADE)):
        assert events(gaze_of([0.0, 1 / 30], [0.5, 0.5 + step_px / 1088]), 1088 / 1080, SACCADE_VELOCITY) == [event] * 2
    assert widths_per_second(100, 90) == pytest.approx(SACCADE_VELOCITY, rel=0.01)


def test_points_far_out_of_the_frame_do_no_harm() -> None:
    gaze = gaze_of([0.0, 0.01, 0.02], [0.1, 1e300, -1e300], [UNKNOWN, OUT, OUT])
    assert events(gaze) == [UNKNOWN, OUT, OUT]


def test_threshold_must_be_positive() -> None:
    with pytest.raises(ValueError, match="velocity threshold is 0"):
        events(gaze_of([0.0], [0.5]), threshold=0)
