"""Exports of Pupil Player: two tables of one clock, and places from the bottom left."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.gaze_pupil_core import read_pupil_core_gaze
from gaze_vlm.formats.gaze_tables import gaze_format
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.events import identify_saccades
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

UNKNOWN, OUT, UNTRACKED = GazeEvent.UNKNOWN, GazeEvent.OUT_OF_FRAME, GazeEvent.UNTRACKED
HEADER = "gaze_timestamp,world_index,confidence,norm_pos_x,norm_pos_y,base_data,gaze_point_3d_x"
START_S = 5427.123456


def row(t_s: float, x: float | str = 0.5, y: float | str = 0.75, confidence: float | str = 0.9) -> str:
    return f"{START_S + t_s:.6f},3,{confidence},{x},{y},{START_S:.6f}-0 {START_S:.6f}-1,12.5"


def read(folder: Path, rows: list[str], world: list[float] | None = None, header: str = HEADER) -> GazeSamples:
    times = [0, 1 / 30, 2 / 30] if world is None else world
    lines = ["# timestamps [seconds],pts", *(f"{START_S + t_s:.6f},{k * 512}" for k, t_s in enumerate(times))]
    (folder / "world_timestamps.csv").write_text("\n".join(lines) + "\n")
    (folder / "gaze_positions.csv").write_text("\n".join([header, *rows]) + "\n")
    return read_pupil_core_gaze(folder / "gaze_positions.csv")


def test_places_are_counted_from_the_bottom_and_times_from_the_first_frame(tmp_path: Path) -> None:
    """A norm_pos_y of 0.9 is near the top of the picture."""
    gaze = read(tmp_path, [row(-0.004, 0.25, 0.9), row(0, 0, 0), row(0.008, 1, 1)])
    np.testing.assert_allclose(gaze.t_s, [-0.004, 0, 0.008], rtol=0, atol=1e-9)
    np.testing.assert_allclose(gaze.xy, [[0.25, 0.1], [0, 1], [1, 0]], atol=1e-12)
    assert gaze.event.tolist() == [UNKNOWN] * 3


def test_events(tmp_path: Path) -> None:
    rows = [row(0, confidence=0.59), row(1, confidence=0.6), row(2, confidence=""), row(2.5, confidence=0)]
    gaze = read(tmp_path, [*rows, row(3, "", ""), row(4, 0.5, 1.5), row(5), row(6)])
    assert gaze.event.tolist() == [UNTRACKED, UNKNOWN, UNTRACKED, UNTRACKED, UNTRACKED, OUT, UNKNOWN, UNKNOWN]
    lenient = read_pupil_core_gaze(tmp_path / "gaze_positions.csv", min_confidence=0.5)
    assert lenient.event[0] == UNKNOWN


def test_an_eye_that_is_lost_alone_does_not_hide_saccades(tmp_path: Path) -> None:
    """Rows of two eyes alternate; gaze rests for half a second, and then elsewhere."""
    at = np.where(np.arange(240) < 120, 0.3, 0.7)
    both = [row(k / 240, x, 0.5) for k, x in enumerate(at)]
    one = [row(k / 240, x, 0.5, 0.9 if k % 2 else 0.2) for k, x in enumerate(at)]
    gaze = identify_saccades(read(tmp_path, both), aspect=4 / 3)
    moved = gaze.t_s[gaze.event == GazeEvent.SACCADE]
    assert (len(gaze), len(moved)) == (240, 8)  # a span of 33 ms has 8 of them
    gaze = identify_saccades(read(tmp_path, one), aspect=4 / 3)
    moved = gaze.t_s[gaze.event == GazeEvent.SACCADE]
    assert set(gaze.event[1:].tolist()) == {GazeEvent.FIXATION, GazeEvent.SACCADE}
    assert len(moved) == 4
    np.testing.assert_allclose(moved.mean(), 0.5, atol=1 / 120)


def test_gaze_that_is_lost_for_longer_is_untracked(tmp_path: Path) -> None:
    """A sample at the ends is kept: nothing says that another eye had the gaze."""
    sure = (0.2, 0.9, 0.2, 0.9, 0.2, 0.2, 0.9, 0.2)
    gaze = read(tmp_path, [row(k / 100, confidence=value) for k, value in enumerate(sure)])
    np.testing.assert_allclose(gaze.t_s, [0, 0.01, 0.03, 0.04, 0.05, 0.06, 0.07], atol=1e-9)
    assert gaze.event.tolist() == [UNTRACKED, UNKNOWN, UNKNOWN, UNTRACKED, UNTRACKED, UNKNOWN, UNTRACKED]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(0), row(1, x="left")], r"gaze_positions\.csv, line 3: norm_pos_x is 'left'"),
        ([row(0, confidence=90)], r"gaze_positions\.csv, line 2: confidence is '90'; expected 0 to 1"),
        ([row(0).replace(f"{START_S:.6f},", ",", 1)], r"gaze_positions\.csv, line 2: gaze_timestamp is ''"),
        ([row(0, 640, 360), row(1, 640, 360)], "2 of 2 places are outside the frame"),
        ([row(9), row(0)], "9 s before that of the row above"),
        ([], r"gaze_positions\.csv has a header and no row"),
    ],
)
def test_what_is_refused(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(tmp_path, rows)


def test_the_table_of_frames_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"world_timestamps\.csv has a header and no row"):
        read(tmp_path, [row(0)], world=[])
    (tmp_path / "world_timestamps.csv").write_text("timestamp [ns]\n1000\n")
    with pytest.raises(
        InputError,
        match=r"world_timestamps\.csv has the column timestamp \[ns\] and is of another export than gaze_pos",
    ):
        read_pupil_core_gaze(tmp_path / "gaze_positions.csv")
    (tmp_path / "world_timestamps.csv").unlink()
    with pytest.raises(InputError, match=r"world_timestamps\.csv is missing: gaze is timed by it"):
        read_pupil_core_gaze(tmp_path / "gaze_positions.csv")
    (tmp_path / "gaze_positions.csv").rename(tmp_path / "P1.csv")
    with pytest.raises(InputError, match=r"is missing: .*; put both into a folder P1, the gaze as gaze_positions\.csv"):
        read_pupil_core_gaze(tmp_path / "P1.csv")


def test_the_table_of_frames_may_be_named_in_any_case(tmp_path: Path) -> None:
    read(tmp_path, [row(0)])
    (tmp_path / "world_timestamps.csv").rename(tmp_path / "World_Timestamps.CSV")
    np.testing.assert_allclose(read_pupil_core_gaze(tmp_path / "gaze_positions.csv").t_s, [0], atol=1e-9)


def test_exports_of_old_versions(tmp_path: Path) -> None:
    """Their columns of time and frame had other names."""
    old = HEADER.replace("gaze_timestamp,world_index", "timestamp,index")
    gaze = read(tmp_path, [row(-0.004, 0.25, 0.9), row(0.008, confidence=0.1)], header=old)
    np.testing.assert_allclose(gaze.t_s, [-0.004, 0.008], rtol=0, atol=1e-9)
    np.testing.assert_allclose(gaze.xy[0], [0.25, 0.1], atol=1e-12)
    assert gaze.event.tolist() == [UNKNOWN, UNTRACKED]
    with pytest.raises(InputError, match=r"gaze_positions\.csv, line 2: timestamp is ''"):
        read(tmp_path, [row(0).replace(f"{START_S:.6f},", ",", 1)], header=old)


@pytest.mark.parametrize("time", ["timestamp", "pupil_timestamp"])
def test_places_of_pupils_are_not_taken_for_gaze(tmp_path: Path, time: str) -> None:
    """They are places in the picture of an eye, under the names of gaze."""
    table = tmp_path / "a.csv"
    table.write_text(f"{time},index,id,confidence,norm_pos_x,norm_pos_y,diameter\n7.5,0,1,0.9,0.5,0.75,40\n")
    with pytest.raises(InputError, match="is of no known format"):
        gaze_format(table)


def test_an_export_is_compared_with_its_video(tmp_path: Path) -> None:
    read(tmp_path, [row(0)], world=[k / 30 for k in range(600)])
    path = tmp_path / "gaze_positions.csv"
    read_pupil_core_gaze(path, video=VideoInfo(1280, 720, 600, 20.0, 30.0, Fraction(1, 90000), 0))
    with pytest.raises(
        InputError, match=r"600 frames over 20.0 s, and the video 600 frames over 24.0 s: .* another rate"
    ):
        read_pupil_core_gaze(path, video=VideoInfo(1280, 720, 600, 24.0, 25.0, Fraction(1, 90000), 0))
    with pytest.warns(UserWarning, match=r"the video 900 frames over 30.0 s: .* cut at its start, gaze is late"):
        read_pupil_core_gaze(path, video=VideoInfo(1280, 720, 900, 30.0, 30.0, Fraction(1, 90000), 0))
