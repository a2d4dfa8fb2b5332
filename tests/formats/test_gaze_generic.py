"""The generic gaze table, and all that can be wrong in one."""

from pathlib import Path

import numpy as np
import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.gaze_generic import read_generic_gaze
from gaze_vlm.formats.text_files import read_lines
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

FIXATION, SACCADE, UNKNOWN, OUT, UNTRACKED, BLINK = GazeEvent


def read(tmp_path: Path, text: str, **options: float) -> GazeSamples:
    path = tmp_path / "gaze.csv"
    path.write_text(text)
    return read_generic_gaze(path, **options)


def test_the_three_columns(tmp_path: Path) -> None:
    gaze = read(tmp_path, "t_s,x,y\n0.5,0.25,0.1\n0.6,0.75,0.9\n")
    assert gaze.t_s.tolist() == [0.5, 0.6]
    assert gaze.xy.tolist() == [[0.25, 0.1], [0.75, 0.9]]  # the origin is at the top left
    assert gaze.event.tolist() == [UNKNOWN] * 2


def test_events_by_name_in_any_order_of_columns(tmp_path: Path) -> None:
    names = ["fixation", "Saccade", "", "UNTRACKED", "blink", "out_of_frame"]
    rows = [f"{name},0.5,{k},0.4,note" for k, name in enumerate(names)]
    gaze = read(tmp_path, "\n".join(["event,y,t_s,x,remark", *rows]))
    assert gaze.event.tolist() == [FIXATION, SACCADE, UNKNOWN, UNTRACKED, BLINK, OUT]
    assert np.isnan(gaze.xy[[3, 4]]).all()
    assert gaze.xy[[0, 1, 2, 5]].tolist() == [[0.4, 0.5]] * 4


def test_a_separator_is_named_before_all_else_alone(tmp_path: Path) -> None:
    assert read(tmp_path, "sep=,\nevent,t_s,x,y\n,0,0.5,0.5\n").t_s.tolist() == [0]
    with pytest.raises(ValueError, match=r"gaze\.csv, line 4: .*'sep=;'"):  # a row was skipped that began so
        read(tmp_path, "sep=,\nevent,t_s,x,y\n,0,0.5,0.5\nsep=;,1,0.5,0.5\n")


def test_utf_16_without_its_mark_is_named(tmp_path: Path) -> None:
    (tmp_path / "gaze.csv").write_bytes("t_s,x,y\n0,0.5,0.5\n".encode("utf-16-le"))
    for read_it in (read_generic_gaze, read_lines):
        with pytest.raises(
            InputError, match=r"gaze\.csv holds zero bytes, as UTF-16 without its mark does: save it again"
        ):
            read_it(tmp_path / "gaze.csv")


def test_names_of_columns_in_any_case(tmp_path: Path) -> None:
    gaze = read(tmp_path, "T_s, X ,Y,Event,CONFIDENCE,X2\n0,0.25,0.1,Blink,1,\n1,0.25,0.1,,0.2,\n2,0.25,0.1,,1,\n")
    assert gaze.event.tolist() == [BLINK, UNTRACKED, UNKNOWN]
    assert read(tmp_path, "t_s,x,y,X\n0,0.25,0.1,9\n").xy.tolist() == [[0.25, 0.1]]  # the exact name comes first


def test_confidence_below_the_threshold_is_untracked(tmp_path: Path) -> None:
    rows = ["0,0.5,0.5,0.59,fixation", "1,0.5,0.5,0.6,", "2,0.5,0.5,,", "3,0.5,0.5,nan,", "4,0,0,0,blink"]
    text = "\n".join(["t_s,x,y,confidence,event", *rows])
    assert read(tmp_path, text).event.tolist() == [UNTRACKED, UNKNOWN, UNTRACKED, UNTRACKED, BLINK]
    assert read(tmp_path, text, min_confidence=0.1).event.tolist() == [FIXATION, UNKNOWN, UNTRACKED, UNTRACKED, BLINK]


def test_places_that_are_none(tmp_path: Path) -> None:
    rows = ["0,nan,0.5", "1,0.5,", "2,inf,0.5", "3,-0.01,0.5", "4,0.5,1e300", "5,0,1", "6,0.5,0.5", "7,1,0"]
    gaze = read(tmp_path, "\n".join(["t_s,x,y", *rows]))
    assert gaze.event.tolist() == [UNTRACKED] * 3 + [OUT] * 2 + [UNKNOWN] * 3
    assert np.isnan(gaze.xy[:3]).all()
    assert np.isfinite(gaze.xy[3:].astype(np.float32)).all()


def test_unsorted_and_repeated_times(tmp_path: Path) -> None:
    gaze = read(tmp_path, "t_s,x,y\n0.2,0.3,0.3\n0.1,0.1,0.1\n0.1,0.2,0.2\n-0.1,0.5,0.5\n")
    assert gaze.t_s.tolist() == [-0.1, 0.1, 0.1, 0.2]
    assert gaze.xy[:, 0].tolist() == [0.5, 0.1, 0.2, 0.3]  # two places of one time are two samples
    with pytest.warns(UserWarning, match=r"gaze.csv: 2 rows repeat another and count once"):
        gaze = read(tmp_path, "t_s,x,y\n" + "1,0.1,0.1\n" * 3 + "2,0.1,0.1\n")
    assert len(gaze) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "gaze.csv is empty"),
        ("t_s,x,y\n", "gaze.csv has a header and no row"),
        ("t_s,x\n0,0.5\n", "no column y in the header, which has t_s, x: correct the names"),
        ("t_s,x,y,x\n0,0.5,0.5,1\n", "2 columns are named x: rename or delete all but one"),
        ("t_s,x,y\n0,0.5,0.5,\n", "line 2: 4 values where 3 are expected; delete the comma at the end of the rows"),
        ("t_s,x,y\n0,0,0,5,0,5\n", "line 2: 6 values where 3 are expected; write decimals with a point, and put"),
        ("t_s\tx\ty\n0\t0\t0\t5\n", "4 values where 3 are expected; put a text that holds a tab in double quotes"),
        ("t_s,x,y\n0,NA,0.5\n", "line 2: x is 'NA', not a number; leave the field empty"),
        ("t_s,x,y\n-,0.5,0.5\n", "line 2: t_s is '-', not a finite number; fix or delete the row"),
        ("t_s,x,y,Confidence\n0,0.5,0.5,95\n", "line 2: confidence is '95'; expected 0 to 1: divide by 100"),
        ('t_s,x,y,event\n0,0.5,0.5,"blink\n1,0.5,0.5,\n', "line 2: a quote is not closed in its line"),
        ("t_s,x,y\n0,0.5,0.5\n1,0.5\n", "gaze.csv, line 3: 2 values where 3 are expected"),
        ("t_s,x,y\n0,left,0.5\n", "gaze.csv, line 2: x is 'left', not a number"),
        ("t_s,x,y\n0,0.5,0.5\nnan,0.5,0.5\n", "gaze.csv, line 3: t_s is 'nan', not a finite number"),
        (
            "t_s,x,y\n0,0.5,0.5\n9,0.5,0.5\n0,0.5,0.5\n",
            "gaze.csv, row 3: its time, 0 s, is 9 s before that of the row above",
        ),
        ("t_s,x,y\n,0.5,0.5\n", "gaze.csv, line 2: t_s is '', not a finite number"),
        ("t_s,x,y,event\n0,0.5,0.5,pursuit\n", "line 2: event is 'pursuit'; expected one of fixation, saccade"),
        ("t_s,x,y\n0,640,480\n1,2,0.5\n2,0.5,0.5\n", r"2 of 3 places are outside the frame \(x from 0.5 to 640, "),
        ("t_s,x,y\n0,640,480\n", r"\(x from 640 to 640, y from 480 to 480\); x and y are shares of the frame from its"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(tmp_path, text)


def test_no_text(tmp_path: Path) -> None:
    (tmp_path / "gaze.csv").write_bytes(b"t_s,x,y\n\xff\xfe")
    with pytest.raises(ValueError, match=r"gaze.csv is not a CSV file in UTF-8"):
        read_generic_gaze(tmp_path / "gaze.csv")
