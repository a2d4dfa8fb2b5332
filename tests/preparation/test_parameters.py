"""Values that a preparation refuses, and what makes a video's file out of date."""

from dataclasses import replace
from typing import Any

import pytest

from gaze_vlm.preparation.parameters import PreparationParameters


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"frame_hz": 0}, "frame_hz is 0"),
        ({"window_s": -1}, "window_s is -1"),
        ({"flow_preset": "slow"}, "flow_preset is 'slow'"),
        ({"split_by": "clip"}, "split_by is 'clip'"),
        ({"split_fractions": (0.5, 0.1, 0.1)}, "sum to 1"),
        ({"split_fractions": (0.9, 0.1)}, "three shares"),
        ({"split_fractions": (1.2, -0.1, -0.1)}, "three shares"),
        ({"observation_s": 0.5}, "multiple of the time between frames, 1 s"),
        ({"stride_s": 1.5}, "multiple of the time between frames, 1 s"),
        ({"saccade_velocity": 0}, "saccade_velocity is 0; expected more than 0 frame widths"),
        ({"field_of_view_deg": 90}, "saccade_velocity is 1.1.*; expected more than 10 degrees a second"),
        ({"field_of_view_deg": 0, "saccade_velocity": 100}, "field_of_view_deg is 0"),
        ({"max_quarantined": 2}, "max_quarantined is 2"),
        ({"flow_max_width_px": 4}, "flow_max_width_px is 4"),
    ],
)
def test_refused_values(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PreparationParameters(**values)


def test_frames_of_a_clip() -> None:
    parameters = PreparationParameters(frame_hz=2, observation_s=4, stride_s=1.5)
    assert (parameters.clip_frames, parameters.stride_frames) == (8, 3)


def test_saccade_velocity_in_degrees() -> None:
    assert PreparationParameters(saccade_velocity=100, field_of_view_deg=80).saccade_widths_s == 1.25
    assert PreparationParameters(saccade_velocity=2).saccade_widths_s == 2
    assert PreparationParameters(saccade_velocity=None, field_of_view_deg=80).saccade_widths_s is None


def test_digest_follows_what_the_video_file_depends_on() -> None:
    base = PreparationParameters()
    digest = base.video_digest(1, 100, 10)
    assert replace(base, stride_s=2, split_seed=7, observation_s=3).video_digest(1, 100, 10) == digest
    for values in ({"saccade_velocity": None}, {"saccade_velocity": 100, "field_of_view_deg": 90}):
        assert replace(base, **values).video_digest(1, 100, 10) != digest
    assert replace(base, window_s=0.4).video_digest(1, 100, 10) != digest
    assert base.video_digest(2, 100, 10) != digest
    assert base.video_digest(1, 101, 10) != digest
