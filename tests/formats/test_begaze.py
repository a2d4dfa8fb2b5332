"""BeGaze exports: both versions, with and without a header, and what can be wrong in them."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from egtea_files import PREAMBLE, row_31, row_34, write_gaze
from gaze_vlm.formats.begaze import read_begaze
from gaze_vlm.gaze.samples import GazeEvent

SAMPLES = [
    (1.0, 640.0, 48.0, "Fixation"),  # near the top
    (1.0 + 1 / 30, 320.0, 912.0, "Saccade"),  # near the bottom
    (1.0 + 2 / 30, 0.0, 0.0, "Blink"),
    (1.0 + 3 / 30, 1400.0, 480.0, "Fixation"),
    (1.0 + 4 / 30, 0.0, 480.0, "Unknown"),
]


@pytest.mark.parametrize("version", ["3.1", "3.4"])
@pytest.mark.parametrize("header", [True, False])
def test_both_versions_with_and_without_header(tmp_path: Path, version: str, header: bool) -> None:
    gaze = read_begaze(write_gaze(tmp_path / "gaze.txt", SAMPLES, version, header))
    np.testing.assert_allclose(gaze.t_s, [sample[0] for sample in SAMPLES], atol=1e-6)
    np.testing.assert_allclose(gaze.xy[0], [0.5, 0.05], atol=1e-5)
    np.testing.assert_allclose(gaze.xy[1], [0.25, 0.95], atol=1e-5)
    assert np.isnan(gaze.xy[2]).all()
    np.testing.assert_allclose(gaze.xy[3], [1400 / 1280, 0.5], atol=1e-5)
    assert gaze.event.tolist() == [
        GazeEvent.FIXATION,
        GazeEvent.SACCADE,
        GazeEvent.BLINK,
        GazeEvent.OUT_OF_FRAME,
        GazeEvent.UNKNOWN,
    ]


@pytest.mark.parametrize("version", ["3.1", "3.4"])
@pytest.mark.parametrize(
    "header",
    [
        "Zeit\tTyp\tVersuch\tL POR X [px]\n",  # another language
        "Time\tType\tTrial\tx\ty\tFrame\tAux1\tEvent\n",  # other names
        "Time\tType\tTrial\tL POR X [px]\tL POR Y [px]\tFrame\tL Event Info\n",  # a column is missing
    ],
)
def test_unreadable_header_leaves_the_token_positions(tmp_path: Path, version: str, header: str) -> None:
    path = write_gaze(tmp_path / "gaze.txt", SAMPLES, version, header=False)
    with_header = tmp_path / "header.txt"
    with_header.write_text(PREAMBLE + header + path.read_text().removeprefix(PREAMBLE))
    gaze, expected = read_begaze(with_header), read_begaze(path)
    np.testing.assert_array_equal(gaze.xy, expected.xy)
    np.testing.assert_array_equal(gaze.event, expected.event)


def test_points_below_zero_are_out_of_the_frame(tmp_path: Path) -> None:
    gaze = read_begaze(write_gaze(tmp_path / "gaze.txt", [(0.0, -3.0, 480.0, "Fixation")], "3.4"))
    assert gaze.event.tolist() == [GazeEvent.OUT_OF_FRAME]
    np.testing.assert_allclose(gaze.xy, [[-3 / 1280, 0.5]])


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "gaze.txt").touch()
    with pytest.raises(ValueError, match=r"gaze.txt: no SMP rows"):
        read_begaze(tmp_path / "gaze.txt")


def test_first_frame_sets_the_time_of_the_video(tmp_path: Path) -> None:
    samples = [(2.5, 1.0, 1.0, "Fixation"), (2.6, 1.0, 1.0, "Fixation")]
    gaze = read_begaze(write_gaze(tmp_path / "gaze.txt", samples))  # the file's clock starts elsewhere
    np.testing.assert_allclose(gaze.t_s, [2.5, 2.6], atol=1e-6)


def drifting(path: Path, version: str, drift: float, seconds: float = 1200) -> np.ndarray:
    """Gaze at 30 Hz whose tracker's clock runs too fast by the share `drift`; returns the true times."""
    t_s = np.arange(0.25, seconds, 1 / 30)
    row = row_31 if version == "3.1" else row_34
    path.write_text(PREAMBLE + "".join(row(t * (1 + drift), 640, 480, int(t * 24 + 1e-6), "Fixation") for t in t_s))
    return t_s


@pytest.mark.parametrize("version", ["3.1", "3.4"])
def test_a_sample_is_in_its_frame_however_far_the_clocks_part(tmp_path: Path, version: str) -> None:
    """0.2 % are 2.4 s after 20 minutes."""
    t_s = drifting(tmp_path / "gaze.txt", version, 0.002)
    with pytest.warns(UserWarning, match=r"its Time and Frame columns part by up to 2\.[34]\d s of the 1200 s"):
        gaze = read_begaze(tmp_path / "gaze.txt")
    assert len(gaze) == len(t_s)
    np.testing.assert_array_equal(np.floor(gaze.t_s * 24 + 1e-6), np.floor(t_s * 24 + 1e-6))
    assert (np.diff(gaze.t_s) >= 0).all()


@pytest.mark.parametrize("drift", [0.0, 1e-5])
def test_clocks_that_agree_keep_the_trackers_time(tmp_path: Path, drift: float) -> None:
    """Without a warning; 12 ms after 20 minutes are within a frame."""
    t_s = drifting(tmp_path / "gaze.txt", "3.1", drift)
    gaze = read_begaze(tmp_path / "gaze.txt")
    assert np.abs(gaze.t_s - t_s).max() < 2e-6 + drift * 1200
    assert np.abs(np.diff(gaze.t_s) - 1 / 30).max() < 1e-3


def test_time_orders_the_samples_of_a_frame(tmp_path: Path) -> None:
    """A row of another frame is not among them, whatever its time."""
    rows = [(0.010, 10, 0), (0.035, 20, 0), (0.020, 15, 0), (0.036, 40, 1), (0.040, 30, 0)]
    text = "".join(row_31(t_s, x, 10, frame, "Fixation") for t_s, x, frame in rows)
    (tmp_path / "gaze.txt").write_text(PREAMBLE + text)
    gaze = read_begaze(tmp_path / "gaze.txt")
    np.testing.assert_allclose(gaze.xy[:, 0] * 1280, [10, 15, 20, 30, 40])
    assert np.floor(gaze.t_s * 24 + 1e-6).tolist() == [0, 0, 0, 0, 1]


def test_frames_that_cannot_place_gaze_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "gaze.txt"
    path.write_text(PREAMBLE + "".join(row_31(k / 30, 640, 480, 1, "Fixation") for k in range(90)))
    with pytest.raises(ValueError, match=r"Frame is 1 in all 90 rows, whose times span 3.0 s, so gaze cannot be"):
        read_begaze(path)
    path.write_text(PREAMBLE + row_31(0.0, 640, 480, 1, "Fixation") + row_31(1 / 30, 640, 480, 1, "Fixation"))
    assert len(read_begaze(path)) == 2  # of one frame indeed
    header = "Time\tType\tTrial\tL POR X [px]\tL POR Y [px]\tAux1\tL Event Info\n"
    path.write_text(PREAMBLE + header + "1\tSMP\t1\t640.00\t480.00\t\tFixation\n")
    with pytest.raises(ValueError, match=r"gaze.txt, line 34: no Frame column, so gaze cannot be placed"):
        read_begaze(path)


def test_zero_zero_fixation_is_untracked(tmp_path: Path) -> None:
    gaze = read_begaze(write_gaze(tmp_path / "gaze.txt", [(0.0, 0.0, 0.0, "Fixation")]))
    assert gaze.event.tolist() == [GazeEvent.UNTRACKED]
    assert np.isnan(gaze.xy).all()


def test_a_blink_is_one_whatever_stands_for_its_place(tmp_path: Path) -> None:
    path = write_gaze(tmp_path / "gaze.txt", [(0.0, 640.0, 480.0, "Blink"), (0.1, 1.0, 1.0, "Blink")])
    path.write_text(path.read_text().replace("1.00\t1.00", "-\t-"))
    gaze = read_begaze(path)
    assert gaze.event.tolist() == [GazeEvent.BLINK] * 2
    assert np.isnan(gaze.xy).all()


def test_several_samples_of_one_frame_are_kept(tmp_path: Path) -> None:
    samples = [(k / 100, 100.0 + k, 100.0, "Fixation") for k in range(4)]
    assert len(read_begaze(write_gaze(tmp_path / "gaze.txt", samples))) == 4


def test_other_rows_are_skipped_and_latin1_is_read(tmp_path: Path) -> None:
    path = write_gaze(tmp_path / "gaze.txt", SAMPLES)
    message = "1000\tMSG\t1\t# Message: Größe.jpg\n".encode("latin-1")
    path.write_bytes(path.read_bytes() + message)
    assert len(read_begaze(path)) == len(SAMPLES)


def test_swapped_rows_are_sorted(tmp_path: Path) -> None:
    rows = [
        row_31(0.0, 10, 10, 0, "Fixation"),
        row_31(0.2, 30, 10, 4, "Fixation"),
        row_31(0.1, 20, 10, 2, "Fixation"),
    ]
    path = tmp_path / "gaze.txt"
    path.write_text(PREAMBLE + "".join(rows))
    np.testing.assert_allclose(read_begaze(path).xy[:, 0] * 1280, [10, 20, 30])


def test_by_the_time_column_the_first_row_sets_the_time_of_the_video(tmp_path: Path) -> None:
    samples = [(1.1, 20.0, 10.0, "Fixation"), (1.0, 10.0, 10.0, "Fixation")]
    path = write_gaze(tmp_path / "gaze.txt", samples, "3.4")
    path.write_text(path.read_text().replace("00:00:01:02", "00:00:01:24").replace("00:00:01:00", "00:00:01:30"))
    with pytest.warns(UserWarning, match="gaze goes by the Time column"):
        gaze = read_begaze(path)
    np.testing.assert_allclose(gaze.t_s, [1.9, 2.0], atol=1e-6)
    np.testing.assert_allclose(gaze.xy[:, 0] * 1280, [10, 20])


def test_too_large_frame_number_warns_once(tmp_path: Path) -> None:
    path = write_gaze(tmp_path / "gaze.txt", SAMPLES, "3.4")
    path.write_text(path.read_text().replace("00:00:01:01", "00:00:01:29").replace("00:00:01:02", "00:00:01:29"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_begaze(path)
    assert len(caught) == 1
    assert "24 frames a second or more, so gaze goes by the Time column" in str(caught[0].message)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (row_31(2.0, 10, 10, 48, "Fixation").replace("10.00", "ten", 1), "x is 'ten'"),
        (row_31(2.0, 10, 10, 48, "Fixation").replace("10.00", "inf", 1), "x is 'inf'"),
        (row_31(2.0, 10, 10, 48, "Fixation").replace("\t48\t", "\tlate\t"), "Frame is 'late'"),
        ("9000000\tSMP\t1\t10.00\n", "4 values"),
        (row_31(2.0, 10, 10, 48, "Fixation").replace("9000000", "soon"), "Time is 'soon'"),
    ],
)
def test_malformed_row_names_file_and_line(tmp_path: Path, row: str, said: str) -> None:
    path = write_gaze(tmp_path / "gaze.txt", SAMPLES)
    path.write_text(path.read_text() + row)
    with pytest.raises(ValueError, match=said) as error:
        read_begaze(path)
    assert f"{path}, line {33 + 1 + len(SAMPLES) + 1}" in str(error.value)


def test_file_without_samples(tmp_path: Path) -> None:
    path = tmp_path / "gaze.txt"
    path.write_text(PREAMBLE)
    with pytest.raises(ValueError, match=r"gaze.txt: no SMP rows"):
        read_begaze(path)


def test_clock_that_starts_again(tmp_path: Path) -> None:
    path = write_gaze(tmp_path / "gaze.txt", [(60.0, 1, 1, "Fixation"), (0.0, 1, 1, "Fixation")])
    with pytest.raises(ValueError, match=r"runs back by 60.0 s"):
        read_begaze(path)
