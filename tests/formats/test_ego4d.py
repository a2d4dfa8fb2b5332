"""The Ego4D reader: what lies where, what is left out, and roots that lack something."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ego4d_files import DOUBTFUL_UIDS, TEST_UIDS, TRAIN_UIDS, gaze_row, write_gaze, write_root
from gaze_vlm.errors import InputError
from gaze_vlm.formats.ego4d import Ego4dReader
from gaze_vlm.formats.ego4d_metadata import read_metadata
from gaze_vlm.formats.ego4d_writers import narration_json
from gaze_vlm.formats.narrations import Narration
from gaze_vlm.gaze.samples import GazeEvent

UID = TRAIN_UIDS[0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_root(tmp_path / "ego4d", [UID, TEST_UIDS[0]], redacted_s=((0.02, 0.03),), videos=False)


def metadata(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / "ego4d.json").read_text()))


def test_recordings(root: Path) -> None:
    first, second = Ego4dReader(root).recordings()
    assert (first.video_id, second.video_id) == (UID, TEST_UIDS[0])
    assert (first.split, second.split) == ("train", "test")
    assert first.video == root / "v2" / "full_scale" / f"{UID}.mp4"
    assert first.gaze == root / "v2" / "gaze" / f"{UID}.csv"
    assert first.participant == UID
    assert (first.gaze_width_px, first.gaze_height_px) == (1088, 1080)
    assert first.redacted_s == ((0.02, 0.03),)
    assert [(action.start_s, action.end_s, action.text) for action in first.actions[:2]] == [
        (0.0, 2.0, "cuts an onion"),
        (2.0, 4.0, "washes a cup"),
    ]
    assert (first.actions[0].verb, first.actions[0].noun) == (None, None)
    assert first.actions[-1].end_s == 16.0  # 10 s after the last narration


def test_gaze_is_untracked_where_the_video_is_redacted(root: Path) -> None:
    reader = Ego4dReader(root)
    gaze = reader.read_gaze(reader.recordings()[0])
    lost = (gaze.t_s >= 0.02) & (gaze.t_s <= 0.03)
    assert 0 < lost.sum() < len(gaze)
    assert (gaze.event[lost] == GazeEvent.UNTRACKED).all()
    assert (gaze.event[~lost] == GazeEvent.UNKNOWN).all()
    np.testing.assert_allclose(gaze.xy[~lost], np.tile([0.4, 0.1], (int((~lost).sum()), 1)))


def test_metadata_in_v2_and_v2_as_the_root(root: Path) -> None:
    expected = [recording.video_id for recording in Ego4dReader(root).recordings()]
    shutil.move(root / "ego4d.json", root / "v2" / "ego4d.json")
    assert [recording.video_id for recording in Ego4dReader(root).recordings()] == expected
    (recording, _) = Ego4dReader(root / "v2").recordings()
    assert recording.video.relative_to(root / "v2").as_posix() == f"full_scale/{UID}.mp4"


def test_has_gaze_is_not_believed(root: Path) -> None:
    values = metadata(root)
    values["videos"][0].update(has_gaze=False, redacted_intervals=None, video_metadata=None)
    del values["videos"][1]
    (root / "ego4d.json").write_text(json.dumps(values))
    (root / "v2" / "full_scale" / f"{TRAIN_UIDS[1]}.mp4").touch()  # a video without gaze
    first, second = Ego4dReader(root).recordings()
    assert (first.redacted_s, first.gaze_width_px, first.gaze_height_px) == ((), 1088, 1080)
    assert (second.video_id, second.gaze_width_px) == (TEST_UIDS[0], 1088)


def test_display_resolution(root: Path) -> None:
    values = metadata(root)
    values["videos"][0]["video_metadata"].update(display_resolution_width=1920, display_resolution_height=1440)
    (root / "ego4d.json").write_text(json.dumps(values))
    first, _ = Ego4dReader(root).recordings()
    assert (first.gaze_width_px, first.gaze_height_px) == (1920, 1440)


def test_gaze_under_the_name_of_a_video(root: Path) -> None:
    gaze = root / "v2" / "gaze"
    (gaze / f"{UID}.csv").rename(gaze / f"{UID}.mp4")
    (gaze / f"{TEST_UIDS[0]}.mp4").write_bytes(b"\0\0\0\x20ftypisom")  # the .csv beside it is taken
    (gaze / f"._{UID}.csv").touch()
    reader = Ego4dReader(root)
    first, second = reader.recordings()
    assert len(reader.read_gaze(first)) == len(reader.read_gaze(second)) == 20
    (gaze / f"{TEST_UIDS[0]}.csv").unlink()
    with pytest.raises(ValueError, match=r"mp4 is a video, not a gaze table"):
        reader.read_gaze(reader.recordings()[1])


def test_videos_in_any_container(root: Path) -> None:
    folder = root / "v2" / "full_scale"
    (folder / f"{UID}.mp4").rename(folder / f"{UID}.MKV")
    assert Ego4dReader(root).recordings()[0].video == folder / f"{UID}.MKV"
    assert Ego4dReader(root).left_out() == {}
    (folder / f"{UID}.mp4").touch()
    with pytest.raises(ValueError, match=rf"{UID}.MKV and .*{UID}.mp4 have one name"):
        Ego4dReader(root).recordings()


def test_half_a_video_is_left_out(root: Path) -> None:
    reader = Ego4dReader(root)
    assert reader.left_out() == {}
    (root / "v2" / "full_scale" / f"{UID}.mp4").unlink()
    (root / "v2" / "full_scale" / "another.mp4").touch()
    for uid in DOUBTFUL_UIDS[:2]:
        (root / "v2" / "full_scale" / f"{uid}.mp4").touch()
    write_gaze(root / "v2" / "gaze" / f"{DOUBTFUL_UIDS[0]}.csv", [gaze_row(0, 0.5, 0.5)])
    assert reader.left_out() == {"no video": [UID], "no gaze": ["another"], "doubtful gaze": DOUBTFUL_UIDS[:2]}
    kept = Ego4dReader(root, doubtful="keep").left_out()
    assert kept == {"no video": [UID], "no gaze": sorted(["another", DOUBTFUL_UIDS[1]])}
    assert [recording.video_id for recording in reader.recordings()] == [TEST_UIDS[0]]
    (root / "v2" / "full_scale" / f"{TEST_UIDS[0]}.mp4").unlink()
    with pytest.raises(ValueError, match=r"full_scale holds no <uid>.mp4 of the 2 videos with gaze"):
        reader.recordings()


def test_the_small_videos(root: Path) -> None:
    small = root / "v2" / "video_540ss"
    shutil.copytree(root / "v2" / "full_scale", small)
    assert Ego4dReader(root).recordings()[0].video.parent.name == "full_scale"
    assert Ego4dReader(root, videos="video_540ss").recordings()[0].video.parent == small
    shutil.rmtree(root / "v2" / "full_scale")
    assert Ego4dReader(root).recordings()[0].video.parent == small
    with pytest.raises(ValueError, match=r"full_scale is missing"):
        Ego4dReader(root, videos="full_scale")


@pytest.mark.parametrize("videos", [None, "full_scale", "full_scale.gaze"])
def test_videos_with_burned_in_gaze_are_refused(root: Path, videos: Any) -> None:
    v2 = root / "v2"
    (v2 / "full_scale").rename(v2 / "full_scale.gaze")
    with pytest.raises(ValueError, match=r"full_scale.gaze have the gaze drawn into their pixels"):
        Ego4dReader(root, videos=videos)
    (v2 / "full_scale").symlink_to(v2 / "full_scale.gaze")
    with pytest.raises(ValueError, match=r"full_scale.gaze have the gaze drawn into their pixels"):
        Ego4dReader(root, videos=videos)


def test_burned_in_videos_beside_the_others_do_not_matter(root: Path) -> None:
    (root / "v2" / "full_scale.gaze").mkdir()
    assert len(Ego4dReader(root).recordings()) == 2


def test_doubtful_videos(tmp_path: Path) -> None:
    root = write_root(tmp_path, [DOUBTFUL_UIDS[0], UID, "another"], videos=False)
    assert [(r.video_id, r.split) for r in Ego4dReader(root).recordings()] == [(UID, "train"), ("another", None)]
    kept = Ego4dReader(root, doubtful="keep").recordings()
    assert {r.video_id: r.split for r in kept} == {DOUBTFUL_UIDS[0]: "train", UID: "train", "another": None}
    assert {r.split for r in Ego4dReader(root, split="none").recordings()} == {None}


def test_the_split_is_the_published_one() -> None:
    assert (len(TRAIN_UIDS), len(TEST_UIDS), len(DOUBTFUL_UIDS)) == (20, 7, 4)
    assert len({*TRAIN_UIDS, *TEST_UIDS, *DOUBTFUL_UIDS}) == 31


@pytest.mark.parametrize("folder", ["v2/gaze_frame_label", "gaze_frame_label"])
def test_frame_labels_and_untracked_spans(root: Path, folder: str) -> None:
    (root / folder).mkdir()
    rows = [f"{frame},0.25,0.1,{frame % 2}" for frame in range(300)]
    (root / folder / f"{UID}_frame_label.csv").write_text("\n".join(["frame,x,y,gaze_type", *rows]) + "\n")
    listed = f"{UID},00:00:02,00:00:04,1\n{UID},00:00:02,00:00:04,1\n{UID},00:00:09,00:00:08,1\n"
    (root / "ego4d_gaze_untracked.csv").write_text(listed)
    reader = Ego4dReader(root, gaze="glc")
    (recording,) = reader.recordings()
    with pytest.warns(UserWarning, match="ends before it starts"):
        gaze = reader.read_gaze(recording)
    assert gaze.event[[0, 2, 3, 59, 60, 120, 121]].tolist() == [0, 0, 1, 1, 4, 4, 1]
    np.testing.assert_allclose(gaze.xy[0], [0.25, 0.1])


def test_captions_instead_of_narrations(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "v2" / "annotations")
    captions = tmp_path / "captions.csv"
    captions.write_text(f"video_id,second,text\n{UID},3,A hand holds a cup.\n")
    first, second = Ego4dReader(root, text="captions", captions=captions).recordings()
    assert [(action.start_s, action.end_s, action.text) for action in first.actions] == [(3, 4, "A hand holds a cup.")]
    assert second.actions == ()


def test_the_other_file_of_narrations(root: Path) -> None:
    folder = root / "v2" / "annotations"
    (folder / "narration.json").unlink()
    narrations = [{"time": 1.0, "text": "#O man walks", "is_summary": False}]
    values = {"videos": {UID: {"narrations": narrations}}}
    (folder / "all_narrations_redacted.json").write_text(json.dumps(values))
    assert Ego4dReader(root).recordings()[0].actions == ()
    (action,) = Ego4dReader(root, others="keep", longest_action_s=2).recordings()[0].actions
    assert (action.text, action.end_s) == ("man walks", 3.0)


def test_labels_are_found_in_narrations(root: Path, tmp_path: Path) -> None:
    verbs, nouns = tmp_path / "verb_idx.txt", tmp_path / "noun_idx.txt"
    verbs.write_text("Cut 1\nPick up 2\nWash 3\nPick 4\n")
    nouns.write_text("onion 1\nred_onion 2\ncup 3\n")
    sentences = ("cuts the Red  onion in a cup", "is washing a cup", "picked up a knife", "walks in the cups")
    said = [Narration(float(t), f"#C C {text}") for t, text in enumerate(sentences)]
    (root / "v2" / "annotations" / "narration.json").write_text(narration_json({UID: said}))
    reader = Ego4dReader(root, verb_index=verbs, noun_index=str(nouns))
    assert (reader.verbs, reader.nouns) == (("cut", "pick up", "wash", "pick"), ("onion", "red onion", "cup"))
    labels = [(action.verb, action.noun) for action in reader.recordings()[0].actions]
    assert labels == [("cut", "red onion"), ("wash", "cup"), ("pick up", None), (None, "cup")]
    only_nouns = Ego4dReader(root, noun_index=nouns).recordings()[0].actions
    assert [(action.verb, action.noun) for action in only_nouns[:2]] == [(None, "red onion"), (None, "cup")]


@pytest.mark.parametrize(
    "missing", ["ego4d.json", "v2/full_scale", "v2/gaze", "v2/annotations/narration.json"], ids=lambda name: name[-10:]
)
def test_incomplete_root(root: Path, missing: str) -> None:
    path = root / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(ValueError, match=r"is missing: is .* the root of Ego4D") as error:
        Ego4dReader(root)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_of_gaze_with_a_manifest_alone(root: Path) -> None:
    for path in (root / "v2" / "gaze").glob("*-*.csv"):
        path.unlink()
    with pytest.raises(ValueError, match=r"gaze holds no <uid>.csv"):
        Ego4dReader(root).recordings()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"videos": "clips"}, "videos is 'clips'; expected one of full_scale, video_540ss"),
        ({"gaze": "txt"}, "gaze is 'txt'; expected one of csv, glc"),
        ({"others": "hide"}, "others is 'hide'"),
        ({"narration_pass": 3}, "narration_pass is 3"),
        ({"split": "official"}, "split is 'official'"),
        ({"doubtful": "test"}, "doubtful is 'test'"),
        ({"longest_action_s": 0}, "longest_action_s is 0"),
        ({"caption_chunk_s": 0}, "caption_chunk_s is 0"),
        ({"text": "captions"}, "captions is None: set captions"),
        ({"captions": "captions.csv"}, "text is 'narrations'"),
        ({"verb_index": "none.txt"}, "verb_index: none.txt is missing: set it to a file of labels"),
        ({"noun_index": "none.txt"}, "noun_index: none.txt is missing"),
    ],
    ids=str,
)
def test_wrong_options(root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ego4dReader(root, **options)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"videos": []}', '{"videos": [', '{"videos": [1]}'])
def test_damaged_metadata(root: Path, content: str) -> None:
    (root / "ego4d.json").write_text(content)
    with pytest.raises(ValueError, match=r"ego4d.json .*: download it again"):
        Ego4dReader(root).recordings()


@pytest.mark.parametrize(
    "change",
    [
        {"video_uid": "../evil"},
        {"redacted_intervals": [{"start_sec": 5, "end_sec": 3}]},
        {"redacted_intervals": [{"start_sec": None, "end_sec": 3}]},
        {"video_metadata": [1]},
        {"video_uid": None},
    ],
    ids=str,
)
def test_bad_metadata(root: Path, change: dict[str, Any]) -> None:
    values = metadata(root)
    values["videos"][0].update(change)
    (root / "ego4d.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"ego4d.json"):
        Ego4dReader(root).recordings()


def test_reader_pickles(root: Path) -> None:
    reader = Ego4dReader(root, others="keep")
    assert pickle.loads(pickle.dumps(reader)).recordings() == reader.recordings()


def test_empty_gaze_is_the_videos_own_trouble(root: Path) -> None:
    reader = Ego4dReader(root)
    write_gaze(root / "v2" / "gaze" / f"{UID}.csv", [gaze_row(0, 0.5, 0.5)])
    (root / "v2" / "gaze" / f"{TEST_UIDS[0]}.csv").write_bytes(b"")
    first, second = reader.recordings()
    assert len(reader.read_gaze(first)) == 1
    with pytest.raises(ValueError, match=r"is empty \(0 bytes\)"):
        reader.read_gaze(second)


@pytest.mark.parametrize(
    "values",
    [
        {"duration_sec": "<b>"},
        {"duration_sec": 10**400},
        {"video_metadata": {"display_resolution_width": "wide"}},
        {"video_metadata": {"display_resolution_height": -5}},
        {"redacted_intervals": [{"start_sec": "a", "end_sec": 2}]},
    ],
)
def test_a_value_of_another_type_in_the_metadata(tmp_path: Path, values: dict) -> None:
    path = tmp_path / "ego4d.json"
    path.write_text(json.dumps({"videos": [{"video_uid": "a"} | values]}))
    with pytest.raises(InputError, match=r"ego4d\.json is (damaged \(TypeError|not JSON \(.*overflow)"):
        read_metadata(path)
