import sys

import pytest

from gaze_vlm.progress import track


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


def test_nothing_to_do_prints_nothing(capsys):
    assert list(track([], "Counting")) == []
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(track(range(3), "Counting")) == [0, 1, 2]
    written = capsys.readouterr()
    assert "3/3" in written.err
    assert written.out == ""
