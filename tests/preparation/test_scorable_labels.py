"""Labels that can be scored, and the nouns of a clip."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gaze_vlm.formats.recording import Action, Recording
from gaze_vlm.formats.vocabulary import vocabulary
from gaze_vlm.metrics.scores import label_scores
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.scorable_labels import UNKNOWN, UNNAMED, with_labels
from gaze_vlm.preparation.store import Store, write_clips
from gaze_vlm.preparation.timeline import video_clips

VERBS, NOUNS = ("cut", "wash", "put"), ("tomato", "cutting board", "lid", "pot", "cup")


def labelled(*actions: Action):
    recording = Recording("v", Path("v.mp4"), None, "p", 128, 96, actions, split="test")
    (settled,), removed = with_labels([recording], VERBS, NOUNS)
    return settled, removed


def test_labels_that_no_answer_could_score_with_are_taken_away_and_listed() -> None:
    settled, removed = labelled(
        Action(0, 1, "cut tomato, cutting board", "cut", "tomato"),
        Action(1, 2, "transfer tomato", "transfer", "tomato"),
        Action(2, 3, "transfer tomatoes", "transfer", "Tomato"),
        Action(3, 4, "put the lid on the pot", "put", "pot"),
        Action(4, 5, "chops a tomato", "cut", "tomato"),
        Action(5, 6, "looks around", None, None),
    )
    assert [(action.verb, action.noun) for action in settled.actions] == [
        ("cut", "tomato"),
        (None, "tomato"),
        (None, "tomato"),
        ("put", None),
        (None, "tomato"),
        (None, None),
    ]
    assert settled.actions[0].nouns == ("tomato", "cutting board")
    assert settled.actions[3].nouns == ("lid", "pot")
    assert [tuple(entry.values()) for entry in removed] == [
        ("verb", "transfer", UNKNOWN, 2, "transfer tomato"),
        ("noun", "pot", UNNAMED, 1, "put the lid on the pot"),
        ("verb", "cut", UNNAMED, 1, "chops a tomato"),
    ]


def test_the_nouns_of_a_clip_are_those_from_its_start_to_the_future_action() -> None:
    settled, removed = labelled(
        Action(0, 2, "wash pot", "wash", "pot"),
        Action(2, 5, "cut tomatoes", "cut", "tomato"),
        Action(5, 6, "put the cup on the board", "put", "cup"),
        Action(6, 8, "put the lid away", "put", "lid"),
        Action(8, 13, "put the cutting board away", "put", "cutting board"),
    )
    assert removed == []
    parameters = PreparationParameters(observation_s=2, anticipation_s=3, stride_s=1)
    clips, _ = video_clips(settled, [float(t) for t in range(1, 12)], 12.0, parameters)
    nouns = {clip.end_s: clip.nouns for clip in clips}
    assert nouns[2] == ("cup", "pot", "tomato")  # the cup is the future of 5 s
    assert nouns[4] == ("cup", "lid", "tomato")  # 2 to 7 s
    assert nouns[9] == ("cutting board", "lid")


def test_labels_of_the_raw_annotations_that_the_index_files_lack(
    raw_root: Path, parameters: PreparationParameters, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """EGTEA Gaze+ has such: the clips stay without the label, which is listed, and nothing fails in scoring."""
    root = Path(shutil.copytree(raw_root, tmp_path / "raw"))
    labels = root / "action_annotation" / "raw_annotations" / "action_labels.csv"
    said = labels.read_text().replace("Cut onion; Cut; onion", "Transfer onion,bowl; Transfer; onion,bowl")
    labels.write_text(said)
    store = prepare("egtea", root, tmp_path / "store", parameters, workers=1)
    line = capsys.readouterr().out.splitlines()[-1]
    assert "; 8 labels of actions removed: verb transfer 8 (removed_labels in quality.json)" in line
    removed = json.loads((store / "quality.json").read_text())["removed_labels"]
    assert [(entry["label"], entry["actions"]) for entry in removed] == [("transfer", 8)]
    opened = Store(store)
    kept = [clip for clip in opened.clips if clip.activity_text == "transfer onion, bowl"]
    assert {(clip.activity_verb, clip.activity_noun) for clip in kept} == {(None, "onion")}
    known = vocabulary(opened.manifest.verbs, opened.manifest.nouns)
    for clip in opened.clips:
        scores = label_scores(clip.activity_text, clip.activity_verb, clip.activity_noun, clip.nouns, known)
        assert scores.get("verb", 1.0) == scores["noun"] == 1.0
    write_clips(store / "clips.parquet", [*opened.clips[1:], replace(opened.clips[0], future_verb="transfer")])
    with pytest.raises(ValueError, match=r"is labelled 'transfer', which is none of the labels in manifest.json"):
        Store(store)
