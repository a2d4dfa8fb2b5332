"""Gaze tables of Ego4D and the labels that GLC made of them, with what can be wrong in either."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from ego4d_files import HEADER, gaze_row, write_gaze
from gaze_vlm.formats.ego4d_gaze import read_ego4d_gaze
from gaze_vlm.formats.ego4d_writers import gaze_csv_text
from gaze_vlm.formats.glc import read_frame_labels, read_untracked_spans
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

UID = "0d271871-c8ba-4249-9434-d39ce0060e58"
DOCUMENTED = """\
0,0.0,0.0,10583.0,1.0,0.4422956915462719,0.440328527379919,,,,,,,,,,,,,,,,
0,0.004056999999988875,0.004056999999988875,10583.0,1.0,0.4444741922266343,0.4417514942310474,,,,,,,,,,,,,,,,
0,0.0280380000000946,0.0280380000000946,10584.0,1.0,0.4489469528198242,0.4418025264033565,,,,,,,,,,,,,,,,
"""


def read(path: Path, *rows: str, header: str = HEADER) -> GazeSamples:
    return read_ego4d_gaze(write_gaze(path / "gaze.csv", rows, header))


def test_the_documented_rows(tmp_path: Path) -> None:
    gaze = read(tmp_path, *DOCUMENTED.splitlines())
    np.testing.assert_allclose(gaze.t_s, [0, 0.004056999999988875, 0.0280380000000946])
    np.testing.assert_allclose(gaze.xy[0], [0.4422956915462719, 1 - 0.440328527379919])
    assert gaze.event.tolist() == [GazeEvent.UNKNOWN] * 3


def test_origin_is_at_the_bottom(tmp_path: Path) -> None:
    gaze = read(tmp_path, gaze_row(0, 0.25, 0.9), gaze_row(1, 0.25, 0.0))
    np.testing.assert_allclose(gaze.xy, [[0.25, 0.1], [0.25, 1.0]])  # near the top; at the lower border


def test_the_tracker_that_was_not_worn(tmp_path: Path) -> None:
    gaze = read(tmp_path, gaze_row(0, 0.5, 0.5, "0.0"), gaze_row(1, 0.5, 0.5, ""), gaze_row(2, 0.5, 0.5, "0.3"))
    assert gaze.event.tolist() == [GazeEvent.UNTRACKED, GazeEvent.UNTRACKED, GazeEvent.UNKNOWN]
    assert np.isnan(gaze.xy[:2]).all()


@pytest.mark.parametrize(("x", "y"), [(1.01, 0.5), (-0.01, 0.5), (0.5, 1.2), (0.5, -3), (1e300, 0.5), (0.5, -1e38)])
def test_places_outside_the_frame(tmp_path: Path, x: float, y: float) -> None:
    gaze = read(tmp_path, gaze_row(0, x, y))
    assert gaze.event.tolist() == [GazeEvent.OUT_OF_FRAME]
    assert np.isfinite(gaze.xy.astype(np.float32)).all()


@pytest.mark.parametrize("value", ["", "nan", "NaN", "inf", "-inf"])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_coordinates_that_are_not_finite(tmp_path: Path, value: str, axis: str) -> None:
    gaze = read(tmp_path, gaze_row(0, *((value, 0.5) if axis == "x" else (0.5, value))))
    assert gaze.event.tolist() == [GazeEvent.UNTRACKED]
    assert np.isnan(gaze.xy).all()


@pytest.mark.parametrize("value", ["", "nan", "inf"])
def test_rows_without_a_time_are_left_out_and_counted(tmp_path: Path, value: str) -> None:
    with pytest.warns(UserWarning, match=r"gaze.csv: 1 rows without a time"):
        gaze = read(tmp_path, gaze_row(value, 0.1, 0.5), gaze_row(0, 0.2, 0.5))
    np.testing.assert_allclose(gaze.xy[:, 0], [0.2])


def test_times_are_sorted_stably_and_repeated_rows_count_once(tmp_path: Path) -> None:
    rows = [(2, 0.5), (-1, 0.1), (1, 0.4), (1, 0.3), (1, 0.4), (1e9, 0.6)]
    gaze = read(tmp_path, *(gaze_row(t, x, 0.5) for t, x in rows))
    assert gaze.t_s.tolist() == [-1, 1, 1, 2, 1e9]
    np.testing.assert_allclose(gaze.xy[:, 0], [0.1, 0.4, 0.3, 0.5, 0.6])
    assert len(gaze.window(0, 10)) == 3  # before and after the video nothing looks at them


def test_the_untrimmed_recordings_clock_is_not_used(tmp_path: Path) -> None:
    gaze = read(tmp_path, "1,7.5,107.5,0.0,1.0,0.5,0.5" + "," * 16)
    assert gaze.t_s.tolist() == [107.5]


def test_columns_in_another_order(tmp_path: Path) -> None:
    header = "norm_pos_y,confidence,norm_pos_x,new,canonical_timestamp_s"
    gaze = read(tmp_path, "0.9,1.0,0.25,what,3.5", header=header)
    assert (gaze.t_s.tolist(), gaze.event.tolist()) == ([3.5], [GazeEvent.UNKNOWN])
    np.testing.assert_allclose(gaze.xy, [[0.25, 0.1]])


def test_a_table_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "gaze.csv"
    path.write_text(DOCUMENTED)
    assert len(read_ego4d_gaze(path)) == 3


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_gaze(tmp_path / "gaze.csv", [gaze_row(0, 0.25, 0.9), ""])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    np.testing.assert_allclose(read_ego4d_gaze(path).xy, [[0.25, 0.1]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"gaze.csv is empty \(0 bytes\)"),
        (b"\n\n", r"gaze.csv: no sample with a time"),
        (HEADER.encode() + b"\n", r"gaze.csv: no sample with a time"),
        (b"\0\0\0\x20ftypisom" + bytes(99), r"gaze.csv is a video, not a gaze table"),
        (b"\xff\xfe\x00" * 9, r"gaze.csv is not a CSV file in UTF-8"),
        (HEADER.replace("norm_pos_y", "pos_y").encode(), r"gaze.csv: no column norm_pos_y in the header"),
        (b"a,b\n1,2\n", r"gaze.csv, line 1: 2 values where 23 are expected"),
        (f"{HEADER}\n{gaze_row(0, 0.5, 0.5)}\n0,1.0".encode(), r"gaze.csv, line 3: 2 values where 23 are expected"),
        (f"{HEADER}\n{gaze_row(0, 'half', 0.5)}".encode(), r"gaze.csv, line 2: norm_pos_x is 'half', not a number"),
        (f"{HEADER}\n{gaze_row('soon', 0, 0)}".encode(), r"gaze.csv, line 2: canonical_timestamp_s is 'soon'"),
    ],
)
def test_damaged_tables(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "gaze.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_ego4d_gaze(path)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("unchecked_shapes")
def test_the_reader_gets_back_what_was_written(tmp_path: Path) -> None:
    t_s, xy = np.arange(3) / 200, np.array([[0.4, 0.1], [0.5, 0.5], [1.2, 0.3]])
    text = gaze_csv_text(t_s, xy, np.array([True, False, True]))
    assert text.splitlines()[0] == HEADER
    assert text.splitlines()[1] == "0,0.0,0.0,10583.0,1.0,0.4,0.9,,,,,,,,,,,,,,,,"
    (tmp_path / "gaze.csv").write_text(text)
    gaze = read_ego4d_gaze(tmp_path / "gaze.csv")
    np.testing.assert_allclose(gaze.t_s, t_s)
    np.testing.assert_allclose(gaze.xy[[0, 2]], xy[[0, 2]])
    assert gaze.event.tolist() == [GazeEvent.UNKNOWN, GazeEvent.UNTRACKED, GazeEvent.OUT_OF_FRAME]
    with pytest.raises(ValueError, match="differ in length"):
        gaze_csv_text(t_s, xy, np.array([True]))


def test_spans_become_untracked() -> None:
    gaze = GazeSamples(np.arange(5.0), np.full((5, 2), 0.5), np.zeros(5, dtype=np.uint8))
    lost = gaze.untracked_in([(1, 2), (4, 4)])
    assert lost.event.tolist() == [0, 4, 4, 0, 4]
    assert lost.event.dtype == np.uint8
    assert np.isnan(lost.xy[[1, 2, 4]]).all()
    assert (gaze.event == 0).all()


def test_frame_labels(tmp_path: Path) -> None:
    path = tmp_path / f"{UID}_frame_label.csv"
    path.write_text("frame,x,y,gaze_type\n0,0.25,0.1,0\n1,0.5,0.9,1\n2.0,1.0,0.5,2\n30,0,0,3\n31,,,0\n")
    gaze = read_frame_labels(path)
    np.testing.assert_allclose(gaze.t_s, [0, 1 / 30, 2 / 30, 1, 31 / 30])
    np.testing.assert_allclose(gaze.xy[:3], [[0.25, 0.1], [0.5, 0.9], [1.0, 0.5]])  # y is from the top already
    assert np.isnan(gaze.xy[3:]).all()
    assert [GazeEvent(event).name for event in gaze.event] == [
        "FIXATION",
        "SACCADE",
        "OUT_OF_FRAME",
        "UNTRACKED",
        "UNTRACKED",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("frame,x,y,gaze_type\n", "no rows"),
        ("frame,x,y\n0,0,0\n", "no column gaze_type"),
        ("frame,x,y,gaze_type\n0,0,0,4\n", r"line 2: gaze_type is '4'"),
        ("frame,x,y,gaze_type\n0,0,0,\n", r"line 2: gaze_type is ''"),
        ("frame,x,y,gaze_type\n,0,0,0\n", r"line 2: frame is ''"),
    ],
)
def test_damaged_frame_labels(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "label.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_frame_labels(path)


def test_untracked_spans_with_a_repeated_row_and_one_that_runs_back(tmp_path: Path) -> None:
    path = tmp_path / "ego4d_gaze_untracked.csv"
    row = f"{UID},00:01:00,00:02:05,1\n"
    path.write_text(f"{row}{UID},01:00:00,01:00:00,4\n{row}other,00:10:00,00:09:00,2\n")
    with pytest.warns(UserWarning, match=r"untracked.csv, line 4: ends before it starts"):
        spans = read_untracked_spans(path)
    assert spans == {UID: ((60.0, 125.0), (3600.0, 3600.0)), "other": ()}


@pytest.mark.parametrize(
    ("row", "message"),
    [(f"{UID},1:00,00:02:05,1", "'1:00' is not a time"), ("../evil,00:01:00,00:02:05,1", "cannot be a file name")],
)
def test_damaged_spans(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "ego4d_gaze_untracked.csv"
    path.write_text(row + "\n")
    with warnings.catch_warnings(), pytest.raises(ValueError, match=f"line 1: .*{message}"):
        read_untracked_spans(path)
