"""Values that a preparation refuses, and what makes a video's file out of date."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaze_vlm.gaze.samples import GazeSamples
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
        ({"flow": "farneback"}, "flow is 'farneback'; expected one of dis_points, dis, raft_small, raft_large"),
        ({"flow_preset": "fast"}, "flow_preset is 'fast'; expected 'medium', unless flow is dis"),
        ({"flow_refine": True}, "flow_refine is True; expected False, unless flow is dis"),
        ({"flow": "raft_small"}, "flow_weights is None; expected a file of raft_small's"),
        ({"flow": "raft_small", "flow_weights": "no.pth"}, "flow_weights is PosixPath"),
        ({"video_short_side_px": 4}, "video_short_side_px is 4"),
        ({"video_gop": 0}, "video_gop is 0"),
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


def gaze_at(place: float) -> GazeSamples:
    return GazeSamples(np.arange(3.0), np.full((3, 2), place), np.zeros(3, dtype=np.uint8))


def test_digest_follows_what_the_video_file_depends_on() -> None:
    base = PreparationParameters()
    gaze, moved = gaze_at(0.5), gaze_at(0.6)
    digest = base.video_digest(1, (100, "a"), gaze)
    assert replace(base, stride_s=2, split_seed=7, observation_s=3).video_digest(1, (100, "a"), gaze) == digest
    for values in ({"saccade_velocity": None}, {"saccade_velocity": 100, "field_of_view_deg": 90}):
        assert replace(base, **values).video_digest(1, (100, "a"), gaze) != digest
    assert replace(base, flow="dis").video_digest(1, (100, "a"), gaze) != digest
    assert replace(base, window_s=0.4).video_digest(1, (100, "a"), gaze) != digest
    assert replace(base, video_short_side_px=240).video_digest(1, (100, "a"), gaze) != digest
    assert base.video_digest(2, (100, "a"), gaze) != digest
    assert base.video_digest(1, (101, "a"), gaze) != digest
    assert base.video_digest(1, (100, "b"), gaze) != digest
    assert base.video_digest(1, (100, "a"), moved) != digest


def test_digest_follows_the_weights_not_their_place(tmp_path: Path) -> None:
    gaze = gaze_at(0.5)
    digests = []
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
        parameters = PreparationParameters(flow="raft_small", flow_weights=tmp_path / name)
        digests.append(parameters.video_digest(1, (100, "a"), gaze))
    assert digests[0] == digests[1] != digests[2]
