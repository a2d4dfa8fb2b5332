import sys

import pytest

from gaze_vlm.progress import Lines, track


def test_items_pass_unchanged():
    assert list(track([3, 1, 2], "Counting")) == [3, 1, 2]


def test_without_a_terminal_a_line_is_printed_every_tenth(capsys):
    list(track(range(50), "Counting"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("Counting: 5/50 (10 %)")
    assert lines[-1].startswith("Counting: 50/50 in")


def test_a_loop_of_unknown_length_is_counted(capsys):
    list(track((item for item in range(3)), "Counting"))
    assert capsys.readouterr().err.startswith("Counting: 3 in")


def test_a_line_end_in_a_name_ends_no_line(capsys):
    list(track([0], "overlay of a\nb.mp4", 1))
    assert capsys.readouterr().err.splitlines()[0].startswith(r"overlay of a\x0ab.mp4: 1/1")


def test_nothing_to_do_prints_nothing(capsys):
    assert list(track([], "Counting")) == []
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(track(range(3), "Counting")) == [0, 1, 2]
    written = capsys.readouterr()
    assert "3/3" in written.err
    assert written.out == ""


def test_a_resumed_loop_reckons_with_what_it_did_itself(monkeypatch: pytest.MonkeyPatch):
    now_s = iter([0.0, 0.0, 10.0, 10.0])
    monkeypatch.setattr("gaze_vlm.progress.time.monotonic", lambda: next(now_s))
    lines = Lines("training", 100, done=50)
    assert lines.reach(55) is None
    assert lines.reach(60) == "training: 60/100 (60 %), 0:40 left"


def test_a_loop_without_end_is_counted():
    lines = Lines("training", float("inf"), interval_s=0.0)
    assert lines.reach(7) == "training: 7 in 0:00"
