"""The EGTEA reader: file-name variants, labels, and roots that lack something."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from egtea_files import write_annotations, write_gaze, write_split
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.formats.recording import VIDEO_SUFFIXES, Recording

GAZE = [(0.0, 640.0, 480.0, "Fixation")]


def make_root(root: Path, sessions: list[str]) -> Path:
    """A root whose videos are empty: the reader lists them and never opens them."""
    (root / "videos").mkdir(parents=True)
    (root / "gaze_data").mkdir()
    for session in sessions:
        (root / "videos" / f"{session}.mp4").touch()
    write_annotations(root, sessions)
    return root


def test_recordings_with_their_actions(tmp_path: Path) -> None:
    root = make_root(tmp_path, ["P21-R04-ContinentalBreakfast", "OP01-R01-PastaSalad"])
    reader = EgteaReader(root)
    first, second = reader.recordings()
    assert (first.video_id, first.participant) == ("OP01-R01-PastaSalad", "OP01")
    assert (second.gaze_width_px, second.gaze_height_px) == (1280, 960)
    action = second.actions[1]
    assert (action.start_s, action.end_s) == (2.0, 4.0)
    assert (action.text, action.verb, action.noun) == ("pick up red cup", "pick up", "red cup")
    assert reader.verbs == ("cut", "pick up")
    assert reader.nouns == ("red cup", "onion")


@pytest.mark.parametrize(
    "name",
    [
        "gaze_data/P16-R03-BaconAndEggs.txt",
        "gaze_data/P16-R03-BaconAndEggs-GazeData.txt",
        "gaze_data/P16-r03-BaconAndEggs.txt",
        "gaze_data/gaze_data/P16-R03-BaconAndEggs.txt",
    ],
)
def test_gaze_names(tmp_path: Path, name: str) -> None:
    reader = EgteaReader(make_root(tmp_path, ["P16-R03-BaconAndEggs"]))
    path = write_gaze(tmp_path / name, GAZE)
    (recording,) = reader.recordings()
    assert recording.gaze == path
    assert len(reader.read_gaze(recording)) == 1


def test_what_a_mac_writes_beside_files_is_left_out(tmp_path: Path) -> None:
    """`._P16….txt` was listed as a session without video, and hid the folder in the folder."""
    reader = EgteaReader(make_root(tmp_path, ["P16-R03-BaconAndEggs"]))
    path = write_gaze(tmp_path / "gaze_data" / "gaze_data" / "P16-R03-BaconAndEggs.txt", GAZE)
    (tmp_path / "gaze_data" / "._P16-R03-BaconAndEggs.txt").write_bytes(b"\0\5\x16\7")
    assert [recording.gaze for recording in reader.recordings()] == [path]
    assert not any("._" in name for names in reader.left_out().values() for name in names)


def test_two_spellings_of_one_participant_are_warned_of(tmp_path: Path) -> None:
    reader = EgteaReader(make_root(tmp_path, ["P1-R01-PastaSalad", "P01-R02-Pizza", "p01-R03-BaconAndEggs"]))
    with pytest.warns(UserWarning, match="videos: participants 'P01' and 'P1' differ in case, .* count as 2 people"):
        assert {recording.participant for recording in reader.recordings()} == {"P01", "P1"}


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_videos_in_any_container(tmp_path: Path, suffix: str) -> None:
    root = make_root(tmp_path, ["P16-R03-BaconAndEggs"])
    video = (root / "videos" / "P16-R03-BaconAndEggs.mp4").rename(root / "videos" / f"P16-R03-BaconAndEggs{suffix}")
    (root / "videos" / "notes.txt").touch()
    assert [recording.video for recording in EgteaReader(root).recordings()] == [video]


def test_missing_gaze_names_the_file(tmp_path: Path) -> None:
    reader = EgteaReader(make_root(tmp_path, ["P16-R03-BaconAndEggs"]))
    (recording,) = reader.recordings()
    with pytest.raises(ValueError, match=r"P16-R03-BaconAndEggs.txt is missing"):
        reader.read_gaze(recording)


@pytest.mark.parametrize(
    "missing",
    [
        "videos",
        "gaze_data",
        "action_annotation/raw_annotations/action_labels.csv",
        "action_annotation/verb_idx.txt",
    ],
)
def test_incomplete_root(tmp_path: Path, missing: str) -> None:
    path = make_root(tmp_path, ["P16-R03-BaconAndEggs"]) / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(ValueError, match=r"is missing: is .* the root of EGTEA") as error:
        EgteaReader(tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_two_gaze_files_of_one_session(tmp_path: Path) -> None:
    reader = EgteaReader(make_root(tmp_path, ["P16-R03-BaconAndEggs"]))
    write_gaze(tmp_path / "gaze_data" / "P16-R03-BaconAndEggs.txt", GAZE)
    write_gaze(tmp_path / "gaze_data" / "P16-R03-BaconAndEggs-GazeData.txt", GAZE)
    with pytest.raises(ValueError, match="several files of one session"):
        reader.recordings()


def test_what_has_no_video_is_left_out(tmp_path: Path) -> None:
    root = make_root(tmp_path, ["P16-R03-BaconAndEggs"])
    assert EgteaReader(root).left_out() == {}
    write_annotations(root, ["P16-R03-BaconAndEggs", "P17-R01-Pizza", "P18-R01-Pizza"])
    for session in ("P18-R01-Pizza", "P19-R01-Pizza"):
        write_gaze(root / "gaze_data" / f"{session}-GazeData.txt", GAZE)
    assert EgteaReader(root).left_out() == {
        "no video": ["p18-r01-pizza"],
        "no video and no gaze": ["p17-r01-pizza"],
        "no video and no labels": ["p19-r01-pizza"],
    }


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "", "-flag", "a b"])
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a file name"):
        Recording(name, Path("video.mp4"), None, "P01", 1280, 960, ())


@pytest.mark.parametrize(("option", "said"), [({"videos": "clip"}, "videos is 'clip'"), ({"split": 4}, "split is 4")])
def test_wrong_options(tmp_path: Path, option: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EgteaReader(make_root(tmp_path, ["P16-R03-BaconAndEggs"]), **option)


def test_official_splits_mark_the_actions(tmp_path: Path) -> None:
    session = "OP01-R01-PastaSalad"
    root = make_root(tmp_path, [session])
    write_split(root, 1, train=[(session, 0)], test=[(session, 2)])
    write_split(root, 3, train=[(session, 2), (session, 6)], test=[(session, 0)])

    def parts(reader: EgteaReader) -> list[str | None]:
        (recording,) = reader.recordings()
        assert recording.split is None
        return [action.split for action in recording.actions]

    assert parts(EgteaReader(root)) == ["train", "test", None, None]
    assert parts(EgteaReader(root, split=2)) == [None] * 4
    assert parts(EgteaReader(root, split=3)) == ["test", "train", None, "train"]


def test_split_files_stand_in_for_the_labels(tmp_path: Path) -> None:
    session = "OP01-R01-PastaSalad"
    root = make_root(tmp_path, [session])
    starts_s = (0, 2, 4, 6)
    write_split(root, 1, train=[(session, start) for start in starts_s[::-1][:3]], test=[(session, 0)])
    (with_labels,) = EgteaReader(root).recordings()
    (root / "action_annotation" / "raw_annotations" / "action_labels.csv").unlink()
    (without,) = EgteaReader(root).recordings()
    assert without == with_labels
    assert without.actions[1].text == "pick up red cup"
    with pytest.raises(ValueError, match=r"action_labels.csv is missing.*train_split2.txt"):
        EgteaReader(root, split=2)
    (root / "action_annotation" / "action_idx.txt").unlink()
    with pytest.raises(ValueError, match=r"action_idx.txt is missing"):
        EgteaReader(root)


def test_reader_pickles(tmp_path: Path) -> None:
    reader = EgteaReader(make_root(tmp_path, ["P16-R03-BaconAndEggs"]))
    assert pickle.loads(pickle.dumps(reader)).recordings() == reader.recordings()
