"""Gaze beside the frames of a video: of its clock, to the last sample, in its shown size."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.look.gaze_points import gaze_at_frames, points_of

VIDEO = VideoInfo(64, 48, 300, 10.0, 30.0, Fraction(1, 15360), 0)


def test_gaze_of_another_clock_is_refused(tmp_path: Path) -> None:
    """A sample at 200 Hz in milliseconds is at the 10th second too."""
    file = tmp_path / "gaze.csv"
    file.write_text("t_s,x,y\n" + "".join(f"{5 * k},{0.3 + k / 1e4:.4f},0.5\n" for k in range(2000)))
    with pytest.raises(InputError, match=r"3 of 2000 samples are inside the video, .* are the times in milliseconds\?"):
        gaze_at_frames(file, [9.5, 10.0], (64, 48), VIDEO)


def test_a_sample_at_the_time_of_a_frame_is_the_frames(tmp_path: Path) -> None:
    """As in a store, whatever the rounding of a window's start and a frame's time in it."""
    file = tmp_path / "gaze.csv"
    file.write_text("t_s,x,y\n1.1,0.5,0.5\n1.3,0.25,0.75\n")
    frame_s = 0.6 + 0.7
    assert frame_s < 1.3
    assert points_of(gaze_at_frames(file, [frame_s], (64, 48), VIDEO), 0) == [(0.25, 0.75)]


def test_places_in_pixels_are_of_the_frame_as_players_show_it(tmp_path: Path) -> None:
    """As in a store: of 64 pixels that are a third wider than high, 85."""
    (tmp_path / "gaze.csv").write_text("timestamp [ns],gaze x [px],gaze y [px]\n1500000000,68,24\n")
    (tmp_path / "world_timestamps.csv").write_text("timestamp [ns]\n0\n")
    wide = replace(VIDEO, pixel_aspect=4 / 3)
    assert points_of(gaze_at_frames(tmp_path, [1.5], (64, 48), wide), 0) == [(pytest.approx(0.8), 0.5)]
