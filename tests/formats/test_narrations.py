"""Narrations and captions: how sentences become actions."""

import json
import tracemalloc
from pathlib import Path

import pytest

from gaze_vlm.formats.captions import described_seconds, read_captions
from gaze_vlm.formats.narrations import Narration, narrated_actions, plain_narration, read_narrations
from gaze_vlm.formats.recording import Action


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#C C walks into the kitchen", "walks into the kitchen"),
        ("#c c  Picks #unsure up ", "Picks up"),
        ("# C C cuts onion", "cuts onion"),
        ("#CC cuts onion", "cuts onion"),
        ("#C Cuts onion", "Cuts onion"),
        ("#C C talks to #O man", "talks to man"),
        ("cuts onion", "cuts onion"),
        ("#C C sees the # sign of C", "sees the # sign of C"),
        ("#unsure", None),
        ("#C C #Unsure.", None),
        ("#C C", None),
        ("", None),
        ("#O A man X walks", None),
        ("#unsure #o man walks", None),
        ("#summary C cooked a meal", None),
        ("#C C切番茄 #unsure洗碗", "切番茄 洗碗"),
        ("#O男が歩く", None),
        ("#Café and #C2", "#Café and #C2"),
    ],
)
def test_tags(text: str, words: str | None) -> None:
    assert plain_narration(text, "drop") == words


def test_other_people_can_be_kept() -> None:
    assert plain_narration("#O A man X walks", "keep") == "A man X walks"


def test_narrations_last_until_the_next() -> None:
    narrations = [
        Narration(9.0, "#C C washes"),
        Narration(1.0, "#C C cuts"),
        Narration(3.0, "#O man talks"),
        Narration(4.0, "#C C looks"),
        Narration(4.0, "#C C looks"),
        Narration(4.0, "#C C turns"),
    ]
    assert narrated_actions(narrations, "drop", longest_s=4) == (
        Action(1.0, 4.0, "cuts", None, None),
        Action(4.0, 8.0, "looks", None, None),
        Action(4.0, 8.0, "turns", None, None),
        Action(9.0, 13.0, "washes", None, None),
    )
    kept = narrated_actions(narrations, "keep", longest_s=4)
    assert [(action.text, action.end_s) for action in kept[:2]] == [("cuts", 3.0), ("man talks", 4.0)]
    assert narrated_actions([], "drop", 4) == ()


def said(*texts: tuple[float, str]) -> dict[str, object]:
    listed = [{"timestamp_sec": t, "timestamp_frame": int(t * 30), "narration_text": text} for t, text in texts]
    return {"narrations": listed, "summaries": [{"start_sec": 0, "end_sec": 9, "summary_text": "#summary C cooks"}]}


def test_either_pass_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "narration.json"
    one, two = said((5, "one"), (2, "early")), said((3, "two"))
    entries = {
        "both": {"narration_pass_1": one, "narration_pass_2": two, "status": "complete"},
        "first": {"narration_pass_1": one, "status": "complete"},
        "second": {"narration_pass_2": two, "narration_pass_1": {"narrations": [], "summaries": []}},
        "null": {"narration_pass_1": None},
        "redacted": {"status": "redacted"},
    }
    path.write_text(json.dumps(entries))

    def texts(narration_pass: str) -> dict[str, list[str]]:
        found = read_narrations(path, [*entries, "absent"], narration_pass)  # type: ignore[arg-type]
        return {uid: [narration.text for narration in narrations] for uid, narrations in found.items()}

    nothing = {"null": [], "redacted": [], "absent": []}
    assert texts("first") == {"both": ["one", "early"], "first": ["one", "early"], "second": ["two"], **nothing}
    assert texts("second") == {"both": ["two"], "first": ["one", "early"], "second": ["two"], **nothing}
    assert texts("both")["both"] == ["one", "early", "two"]


def test_the_redacted_file(tmp_path: Path) -> None:
    """Its videos are in an object of their own, before or behind what else there is."""
    path = tmp_path / "all_narrations_redacted.json"
    listed = [
        {"time": 4.5, "text": "#C C cuts", "is_summary": False},
        {"time": 0, "text": "C cooked", "is_summary": True},
    ]
    path.write_text(json.dumps({"version": 2, "videos": {"uid": {"narrations": listed}, "other": {}}, "date": ""}))
    assert read_narrations(path, ["uid"]) == {"uid": [Narration(4.5, "#C C cuts")]}
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_narrations(path, ["uid", "absent"]) == {"uid": [Narration(4.5, "#C C cuts")], "absent": []}
    path.write_text(json.dumps({"videos": {}}))
    assert read_narrations(path, ["uid"]) == {"uid": []}


def test_narrations_are_read_as_a_stream(tmp_path: Path) -> None:
    """The memory that reading takes is of a video, not of the file."""

    def peak_bytes(videos: int) -> int:
        path = tmp_path / "narration.json"
        said_often = said(*((second, f"#C C cuts onion {second}") for second in range(100)))
        path.write_text(json.dumps({f"uid{number}": {"narration_pass_1": said_often} for number in range(videos)}))
        tracemalloc.start()
        try:
            assert len(read_narrations(path, ["uid1"])["uid1"]) == 100
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak_bytes(10), peak_bytes(200)  # 0.1 and 2 MB of JSON
    assert many < few + 2**17


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"uid": ',
        '{"uid": {"narration_pass_1": {"narrations": [{"timestamp_sec": 1}]}}}',
        '{"uid": {"narration_pass_1": {"narrations": [{"timestamp_sec": NaN, "narration_text": "cuts"}]}}}',
        '{"uid": {"narration_pass_1": {"narrations": [{"timestamp_sec": null, "narration_text": "cuts"}]}}}',
        '{"uid": {"narration_pass_1": [1]}}',
        '{"videos": ["uid"]}',
        '{"uid": {}} {',
        '{"uid": "\udcff"}',
    ],
)
def test_damaged_narrations(tmp_path: Path, content: str) -> None:
    path = tmp_path / "narration.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"narration.json .*download") as error:
        read_narrations(path, ["uid"])
    assert "\n" not in str(error.value)


def test_captions_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text('video_id,second,text\nuid,10,"a pan, hot"\nuid,9, a  cup \nother,0,an onion\nuid,11,\n')
    assert read_captions(path, ["uid", "none"]) == {
        "uid": (Action(9, 10, "a cup", None, None), Action(10, 11, "a pan, hot", None, None))
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("uid,1,a\nuid,1,b", "line 3: second 1 of uid has a caption already"),
        ("uid,-1,a", "line 2: second is '-1'"),
        ("uid,1.5,a", "line 2: second is '1.5'"),
        ("uid,nan,a", "line 2: second is 'nan'"),
        ("../uid,1,a", "line 2: the name '../uid' cannot be a file name"),
    ],
)
def test_damaged_captions(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "captions.csv"
    path.write_text(f"video_id,second,text\n{rows}\n")
    with pytest.raises(ValueError, match=message):
        read_captions(path, ["uid"])


def test_seconds_are_sorted_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("video_id,second,text\na,10,later\na,2,sooner\n")
    assert [action.text for action in read_captions(path, ["a"])["a"]] == ["sooner", "later"]


def test_missing_captions(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none.csv is missing"):
        read_captions(tmp_path / "none.csv", ["uid"])
    with pytest.raises(ValueError, match=r"holds no <video_id>/image_descriptions.txt"):
        read_captions(tmp_path, ["uid"])


def test_captions_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "uid" / "image_descriptions.txt"
    path.parent.mkdir()
    path.write_text("A cup.\nSkipping chunk 3 due to error\n\nA  pan.\n\n")
    assert [(action.start_s, action.end_s, action.text) for action in read_captions(tmp_path, ["uid"])["uid"]] == [
        (0, 1, "A cup."),
        (3, 4, "A pan."),
    ]
    assert described_seconds(path, chunk_s=10) == {0: "A cup.", 12: "A pan."}
    for number in range(1, 14):
        (path.parent / f"{number}.jpg").touch()
    assert described_seconds(path, chunk_s=10)[12] == "A pan."
    with pytest.raises(ValueError, match=r"stands for 4 seconds, and 13 frames lie beside it: set caption_chunk_s"):
        read_captions(tmp_path, ["uid"])


@pytest.mark.parametrize("letter", "\u2028\u2029\x85\x0b\x0c\x1c")
def test_a_line_of_captions_ends_at_its_end_alone(letter: str, tmp_path: Path) -> None:
    """What Unicode calls the end of a line, as texts made by a model hold it, moves no later second."""
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "image_descriptions.txt").write_bytes(f"One.{letter}And so on.\r\n\r\nThree.\n".encode())
    captions = read_captions(tmp_path, ["video"])["video"]
    assert [(caption.start_s, caption.text) for caption in captions] == [(0, "One. And so on."), (2, "Three.")]


def test_half_a_letter_in_a_key_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "narration.json"
    path.write_bytes(b'{"videos": {"a\xed\xa0\x80": {}}}')
    with pytest.raises(ValueError, match=r"narration\.json is not JSON"):
        read_narrations(path, ["a"])
