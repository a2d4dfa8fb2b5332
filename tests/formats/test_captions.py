"""Texts of spans of video."""

from pathlib import Path

import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.captions import read_captions, read_spans
from gaze_vlm.formats.csv_tables import csv_header
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.recording import Action


def test_spans_with_and_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text('noun,video_id,start_s,end_s,text,verb\ncup,a,1.5,3,"takes  a cup, red",take\n,b,0,1,waits,\n')
    assert read_spans(path) == {
        "a": [Action(1.5, 3.0, "takes a cup, red", "take", "cup")],
        "b": [Action(0.0, 1.0, "waits", None, None)],
    }
    path.write_text("video_id,start_s,end_s,text\na,0,1,waits\n")
    assert read_spans(path) == {"a": [Action(0.0, 1.0, "waits", None, None)]}


def test_labels_by_names_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("Video_ID,start_s,END_S,text,Verb,NOUN\na,0,1,takes a cup,take,cup\n")
    assert read_spans(path) == {"a": [Action(0.0, 1.0, "takes a cup", "take", "cup")]}


def test_all_rows_at_fault_are_told(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("video_id,start_s,end_s,text\na,0,1,waits\na,3,2,waits\na,4,x,waits\na,5,6,\n")
    with pytest.raises(InputError, match=r"line 3: from 3 to 2 s;.*; .*line 4: end_s is 'x'.*; .*line 5: no text"):
        read_spans(path)
    path.write_text("video_id,second,text\n" + "a,x,waits\n" * 8)
    with pytest.raises(InputError, match=r"line 2: second is 'x'.*line 6: .*; and 3 more rows$"):
        read_captions(path, ["a"])


def test_labels_of_seconds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("video_id,second,text,Verb,noun\na,0,takes a cup,take,cup\n")
    with pytest.raises(InputError, match=r"captions.csv: a text a second has no verb and no noun: delete the columns"):
        read_captions(path, ["a"])


@pytest.mark.parametrize(
    "rows",
    [
        ["a,0,1,waits", 'a,1,2,"waits', "a,2,3,waits", "b,0,1,waits"],  # to the end of the file
        ["a,0,1,waits", 'a,1,2,"waits', 'a,2,3,"waits"', "b,0,1,waits"],  # to the next quote
        ["a,0,1,waits", 'a,1,2,"waits"'[:-1]],
        ["a,0,1,waits", 'a,1,2,"the 5" nail"'],
        ["a,0,1,waits", 'a,1,2,"waits', *["b,0,1,waits"] * 20_000],  # more than the longest field
    ],
)
def test_a_quote_that_is_not_closed_swallows_nothing(tmp_path: Path, rows: list[str]) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("\n".join(["video_id,start_s,end_s,text", *rows]) + "\n")
    with pytest.raises(InputError, match=r"captions.csv, line 3: a quote is not closed in its line; close it"):
        read_spans(path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,3,3,waits", "line 2: from 3 to 3 s; expected"),
        ("a,-1,3,waits", "line 2: from -1 to 3 s"),
        ("a,,3,waits", "line 2: start_s is ''"),
        ("a,0,inf,waits", "line 2: end_s is 'inf'"),
        ("a,0,1, ", "line 2: no text"),
        (
            "a,0,1,waits, sits",
            "line 2: 5 values where 4 are expected; .* put a text that holds a comma in",
        ),
        ("../a,0,1,waits", "line 2: the name '../a' cannot be a file name"),
    ],
)
def test_malformed_spans(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "captions.csv"
    path.write_text(f"video_id,start_s,end_s,text\n{row}\n")
    with pytest.raises(ValueError, match=rf"captions.csv, {said}"):
        read_spans(path)


@pytest.mark.parametrize(("columns", "times"), [("second", "{0}"), ("start_s,end_s", "{0},{0}.5")])
def test_texts_that_stand_for_none_are_warned_of(tmp_path: Path, columns: str, times: str) -> None:
    for folder in ("videos", "gaze"):
        (tmp_path / folder).mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    texts = ("nan", "cuts bread", "N/A", "nan", "no", "切る")
    rows = [f"a,{times.format(second)},{text}\n" for second, text in enumerate(texts)]
    (tmp_path / "captions.csv").write_text("".join([f"video_id,{columns},text\n", *rows]), encoding="utf-8")
    with pytest.warns(UserWarning, match=r"captions\.csv: the text of 3 rows is 'nan', 'N/A', as programs write"):
        (recording,) = FolderReader(tmp_path).recordings()
    assert [action.text for action in recording.actions] == list(texts)


def test_a_header_beyond_what_csv_takes_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text(f"name,{'a' * 200_000}\n")
    with pytest.raises(InputError, match=r"captions.csv is not a CSV file"):
        csv_header(path)
