"""Subtitles: what is shown when, and texts that would be taken for more."""

from pathlib import Path

import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.inference.caption import write_new
from gaze_vlm.inference.caption_file import Caption
from gaze_vlm.inference.subtitles import Cue, clock, cues, written
from gaze_vlm.inference.videos import beside


def caption(start_s: float, end_s: float, answer: str, task: str | None = "activity") -> Caption:
    return Caption("v.mp4", start_s, end_s, task, "Why?", answer)


def test_windows_that_overlap_are_shown_one_after_the_other() -> None:
    captions = [caption(0, 4, "a"), caption(1, 5, "b"), caption(2, 6, "c"), caption(10, 14, "d")]
    assert cues(captions) == [Cue(0, 4, "a"), Cue(4, 5, "b"), Cue(5, 6, "c"), Cue(10, 14, "d")]


def test_answers_to_several_questions_are_told_apart() -> None:
    captions = [caption(0, 4, "cut", "activity"), caption(0, 4, "wash", "future"), caption(0, 4, "so", None)]
    assert cues(captions) == [Cue(0, 4, "now: cut\nnext: wash\nWhy? so")]


@pytest.mark.parametrize(
    ("t_s", "shown"),
    [(0.0, "00:00:00,000"), (2 / 3, "00:00:00,666"), (0.333333, "00:00:00,333"), (3725.04, "01:02:05,040")],
)
def test_a_time_is_not_later_than_its_frame(t_s: float, shown: str) -> None:
    assert clock(t_s, ",") == shown


def test_texts_are_shown_as_they_are() -> None:
    text = "<b>a & b</b> {\\an8} --> 1 < 2\n\n\x1b[2Jend"
    assert written([Cue(0, 1, text)], "srt") == (
        "1\n00:00:00,000 --> 00:00:01,000\n< b>a & b< /b> { \\an8} → 1 < 2\n\\x1b[2Jend\n"
    )
    assert written([Cue(0, 1, text)], "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n&lt;b&gt;a &amp; b&lt;/b&gt; {\\an8} → 1 &lt; 2\n\\x1b[2Jend\n"
    )


def test_files_beside_an_output_have_names_of_their_own() -> None:
    named = beside(Path("out/en.jsonl"), ["a/b.mp4", "c.mp4", "c.avi"], ".srt")
    assert [str(path) for path in named.values()] == ["out/a/b.en.srt", "out/c.mp4.en.srt", "out/c.avi.en.srt"]
    named = beside(Path("en.jsonl"), ["a.mkv", "a.mp4", "a.mp4.mov"], ".srt")
    assert [str(path) for path in named.values()] == ["a.mkv.en.srt", "a.mp4.en.srt", "a.mp4.mov.en.srt"]
    longest = "й" * 124 + ".mp4"  # й.en.srt is of two bytes a letter
    assert len(beside(Path("en.jsonl"), [longest], ".srt")[longest].name.encode()) == 255
    with pytest.raises(InputError, match=rf"^й{longest}: й.* is longer than 255 bytes: rename the video$"):
        beside(Path("en.jsonl"), [f"й{longest}"], ".srt")


def test_a_file_of_others_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.srt"
    for _ in range(2):
        write_new(file, "ours")
    assert capsys.readouterr().err == ""
    write_new(file, "ours anew")
    assert file.read_text() == "ours"
    assert capsys.readouterr().err == (
        f"{file} is there with other content, and stays: delete it, or name another --output\n"
    )
