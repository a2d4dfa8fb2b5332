"""Gaze beside the frames of a video: of its clock."""

from fractions import Fraction
from pathlib import Path

import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.look.gaze_points import gaze_at_frames

VIDEO = VideoInfo(64, 48, 300, 10.0, 30.0, Fraction(1, 15360), 0)


def test_gaze_of_another_clock_is_refused(tmp_path: Path) -> None:
    """A sample at 200 Hz in milliseconds is at the 10th second too."""
    file = tmp_path / "gaze.csv"
    file.write_text("t_s,x,y\n" + "".join(f"{5 * k},{0.3 + k / 1e4:.4f},0.5\n" for k in range(2000)))
    with pytest.raises(InputError, match=r"3 of 2000 samples are inside the video, .* are the times in milliseconds\?"):
        gaze_at_frames(file, [9.5, 10.0], (64, 48), VIDEO)
