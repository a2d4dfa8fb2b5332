import re

import numpy as np
import pytest

from gaze_vlm.formats.begaze import read_begaze
from gaze_vlm.formats.writers import (
    LabelledAction,
    action_labels_csv,
    begaze_text,
    clip_name,
    index_text,
    split_text,
    timecode,
)
from gaze_vlm.gaze.samples import GazeEvent

CUT = LabelledAction("P01-R01-Stew", 1800, 5366, "Cut", "red_cup", frame_count=900)


def text(variant, samples=4):
    t_us = 5_000_000 + np.arange(samples) * 33_333
    xy_px = np.tile([640.0, 240.0], (samples, 1))
    xy_px[1] = 0
    events = ["Fixation", "Blink", "Saccade", "Fixation"][:samples]
    return begaze_text(t_us, xy_px, events, np.arange(samples) * 24 // 30, variant)


@pytest.mark.parametrize(("variant", "count_line", "tokens"), [("3.1", 9, 7), ("3.4", 10, 26)])
def test_lines_lie_where_begaze_puts_them(variant, count_line, tokens):
    lines = text(variant).splitlines()
    assert all(line.startswith("##") for line in lines[:33])
    assert lines[count_line] == "## Number of Samples:\t4"
    assert "## Calibration Area:\t1280\t960" in lines
    assert lines[33].startswith("Time\tType\tTrial")
    assert [len(line.split()) for line in lines[34:]] == [tokens] * 4
    assert {len(line.split("\t")) for line in lines[33:]} == {tokens + 1}


def test_rows_carry_point_frame_and_event():
    old, new = (text(variant).splitlines()[34].split() for variant in ("3.1", "3.4"))
    assert (old[3], old[4], old[5], old[-1]) == ("640.00", "240.00", "0", "Fixation")
    assert (new[5], new[6], new[-2], new[-1]) == ("640.00", "240.00", "00:00:00:00", "Fixation")


@pytest.mark.parametrize("variant", ["3.1", "3.4"])
def test_the_reader_gets_back_what_was_written(tmp_path, variant):
    path = tmp_path / "gaze.txt"
    path.write_text(text(variant), encoding="latin-1")
    gaze = read_begaze(path)
    np.testing.assert_allclose(gaze.t_s, np.arange(4) * 0.033333, atol=1e-6)
    np.testing.assert_allclose(gaze.xy[[0, 2, 3]], [[0.5, 0.25]] * 3)
    expected = [GazeEvent.FIXATION, GazeEvent.BLINK, GazeEvent.SACCADE, GazeEvent.FIXATION]
    assert gaze.event.tolist() == expected


def test_unknown_variants_and_ragged_columns_are_refused():
    with pytest.raises(ValueError, match=r"'3\.7' is none of 3\.1, 3\.4"):
        text("3.7")
    with pytest.raises(ValueError, match="differ in length"):
        begaze_text(np.arange(2), np.zeros((2, 2)), ["Blink"], np.arange(2), "3.1")


def test_timecodes_count_24_frames_a_second():
    assert timecode(0) == "00:00:00:00"
    assert timecode(47) == "00:00:01:23"
    assert timecode(24 * 3661) == "01:01:01:00"


def test_action_labels_have_the_header_and_separators():
    header, row = action_labels_csv([CUT]).splitlines()
    assert header.startswith("# Clip ID")
    assert row == "1; P01-R01-Stew-1800-5366; P01-R01-Stew; 1800; 5366; Cut red_cup; Cut; red_cup"


def test_clips_are_padded_and_stay_inside_the_session():
    assert clip_name(CUT) == "P01-R01-Stew-1800-5366-F000035-F000137"
    short = CUT._replace(start_ms=0, end_ms=100, frame_count=20)
    first, last = map(int, re.findall(r"F(\d{6})", clip_name(short)))
    assert (first, last) == (0, 20)
    early, late = CUT._replace(start_ms=0, end_ms=100), CUT._replace(start_ms=37_400, end_ms=37_500)
    assert clip_name(early).endswith("F000000-F000024")
    assert clip_name(late).endswith("F000876-F000900")


def test_numbers_count_from_one():
    assert index_text(["Pick up", "Cut"]) == "Pick up 1\nCut 2\n"
    line = split_text([CUT], ["Cut red_cup"], ["Pick up", "Cut"], ["red_cup"])
    assert line.split()[1:] == ["1", "2", "1"]
    with pytest.raises(ValueError, match="'Cut red_cup' is not in the index"):
        split_text([CUT], ["Wash red_cup"], ["Cut"], ["red_cup"])
