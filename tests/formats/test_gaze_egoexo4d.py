"""Gaze of Ego-Exo4D: every third frame of 30 a second, pixels of 1408."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gaze_vlm.formats.gaze_egoexo4d import read_egoexo4d_gaze
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeEvent

HEADER = "frame_num,tracking_timestamp_us,x,y\n"


def test_a_table(tmp_path: Path) -> None:
    path = tmp_path / "general_eye_gaze_2d.csv"
    path.write_text(
        HEADER + "0,90000000,704.0,140.8\n6,90200000,1500,700\n3,90100000,1408,0\n9,90300000,,\n12.0,90400000,-1,3\n"
        "15,1,2,3\n"
    )
    gaze = read_egoexo4d_gaze(path)
    np.testing.assert_allclose(gaze.t_s, [0, 0.1, 0.2, 0.3, 0.4, 0.5])
    np.testing.assert_allclose(gaze.xy[:2], [[0.5, 0.1], [1, 0]])
    unknown, out = GazeEvent.UNKNOWN, GazeEvent.OUT_OF_FRAME
    assert gaze.event.tolist() == [unknown, unknown, out, GazeEvent.UNTRACKED, out, unknown]


def test_a_video_of_another_rate(tmp_path: Path) -> None:
    path = tmp_path / "general_eye_gaze_2d.csv"
    path.write_text(HEADER + "0,1,10,10\n")
    for rate_hz in (30, 30000 / 1001):
        read_egoexo4d_gaze(path, VideoInfo(1408, 1408, 60, 2.0, rate_hz, Fraction(1, 90000), 0))
    with pytest.warns(UserWarning, match=r"gaze_2d\.csv: frame_num counts frames at 30 fps, and the video has 25 fps"):
        read_egoexo4d_gaze(path, VideoInfo(1408, 1408, 60, 2.4, 25, Fraction(1, 90000), 0))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("0.5,1,10,10\n", "line 2: frame_num is '0.5'; expected a whole number"),
        (",1,10,10\n", "line 2: frame_num is '', not a finite number"),
        ("0,1,10,ten\n", "line 2: y is 'ten'"),
        ("0,1,1e9,10\n", "1 of 1 places are outside the frame"),
        ("", "has a header and no row"),
    ],
)
def test_what_is_refused(tmp_path: Path, rows: str, said: str) -> None:
    path = tmp_path / "general_eye_gaze_2d.csv"
    path.write_text(HEADER + rows)
    with pytest.raises(ValueError, match=rf"general_eye_gaze_2d.csv.*{said}"):
        read_egoexo4d_gaze(path)
