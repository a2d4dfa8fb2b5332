"""The target text has the best of every score, whatever the reader and its options."""

from pathlib import Path

import numpy as np
import pytest

import ego4d_files
import egtea_files
from gaze_vlm.formats.ego4d import Ego4dReader
from gaze_vlm.formats.ego4d_writers import narration_json
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.narrations import Narration
from gaze_vlm.formats.recording import Reader
from gaze_vlm.formats.vocabulary import vocabulary
from gaze_vlm.metrics.scores import SCORES, score_sample
from gaze_vlm.metrics.semantic import embedding_scores
from gaze_vlm.preparation.scorable_labels import with_labels

UID = ego4d_files.TRAIN_UIDS[0]
SENTENCES = (
    "#C C cuts the onion with a knife",
    "#C C is peeling tomatoes #unsure",
    "#C C Picked up two cutting-boards",
    "#C C puts-down the panel",
    "#O the man X takes the knives",
    "#C C brushes the floor",
    "#C C schält Äpfel",
    "#C C 玉ねぎを切る",
    "#C C turned on the pan's tap",
)
VERBS = "cut_(trim,_slice) 1\nPeel 2\npick_(pick-up,_grab) 3\nput-down 4\ntake 5\nbrush 6\nturn_on 7\n切る 8\n"
NOUNS = (
    "onion_(onion,_shallot) 1\ntomato 2\ncutting_board 3\nknife_(knife,_machete) 4\nbrush 5\nfloor 6\npan 7\nÄpfel 8\n"
)


class Lengths:
    """A stand-in for the encoder of sentences and tokens."""

    def encode(self, sentences: list[str]) -> np.ndarray:
        return np.array([[len(sentence), sentence.count("e") + 1] for sentence in sentences], dtype=float)

    def encode_tokens(self, sentences: list[str]) -> list[np.ndarray]:
        return [np.eye(128)[[ord(letter) % 128 for letter in sentence]] for sentence in sentences]


def check(reader: Reader) -> set[str]:
    """Score every text of a reader against itself; which scores there were."""
    recordings, _ = with_labels(reader.recordings(), reader.verbs, reader.nouns)
    labels = vocabulary(reader.verbs, reader.nouns)
    seen: set[str] = set()
    for action in (action for recording in recordings for action in recording.actions):
        scores = score_sample(action.text, action.text, action.verb, action.noun, action.nouns, labels)
        embedded = embedding_scores([action.text], [action.text], Lengths())
        scores |= {name: float(value) for name, (value,) in embedded.items()}
        of_target = {name: SCORES[name].of_target for name in EVERY & set(scores)}
        seen |= set(of_target)
        assert {name: scores[name] for name in of_target} == pytest.approx(of_target), action
    return seen


EVERY = {name for name, score in SCORES.items() if score.of_target is not None}
WITHOUT_LABELS = EVERY - {"verb", "noun", "noun_any", "noun_absent", "chair_i"}


@pytest.mark.parametrize("videos", ["sessions", "clips"])
@pytest.mark.parametrize("labels", ["csv", "splits"])
def test_egtea(tmp_path: Path, videos: str, labels: str) -> None:
    session = egtea_files.SESSIONS[0]
    egtea_files.write_annotations(tmp_path, [session])
    egtea_files.write_split(tmp_path, 1, [(session, 0), (session, 2)], [(session, 4), (session, 6)])
    egtea_files.write_gaze(tmp_path / "gaze_data" / f"{session}.txt", [(0.0, 1.0, 1.0, "Fixation")])
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / f"{session}.mp4").touch()
    trimmed = tmp_path / "cropped_clips" / session
    trimmed.mkdir(parents=True)
    for start_s in (0, 2, 4, 6):
        (trimmed / f"{egtea_files.clip_name(session, start_s)}.mp4").touch()
    index = tmp_path / "action_annotation"
    raw = index / "raw_annotations" / "action_labels.csv"
    if labels == "csv":
        more = (
            "Divide/Pull Apart bread_container,tomato; Divide/Pull Apart; bread_container,tomato",
            "Transfer cucumber,cutting_board,bowl; Transfer; cucumber,cutting_board,bowl",
            "Turn on faucet; Turn on; faucet",
            "Wash eating_utensil; Wash; eating_utensil",
        )
        rows = [f"9; {session}-x; {session}; {t * 1000}; {t * 1000 + 900}; {row}\n" for t, row in enumerate(more)]
        with raw.open("a") as file:
            file.writelines(rows)
        (index / "verb_idx.txt").write_text("Cut 1\nPick up 2\nDivide/Pull Apart 3\nTurn on 4\nWash 5\nPut 6\nOpen 7\n")
        (index / "noun_idx.txt").write_text("red_cup 1\nonion 2\nbread_container 3\neating_utensil 4\nbread 5\ncup 6\n")
    else:
        raw.unlink()
    assert check(EgteaReader(tmp_path, videos=videos)) == EVERY  # type: ignore[arg-type]


@pytest.mark.parametrize("narration_pass", ["first", "second", "both"])
@pytest.mark.parametrize("others", ["drop", "keep"])
@pytest.mark.parametrize("text", ["narrations", "captions"])
@pytest.mark.parametrize("indexed", [True, False])
def test_ego4d(tmp_path: Path, narration_pass: str, others: str, text: str, indexed: bool) -> None:
    root = ego4d_files.write_root(tmp_path / "ego4d", [UID], videos=False)
    said = [Narration(float(t), sentence) for t, sentence in enumerate(SENTENCES)]
    (root / "v2" / "annotations" / "narration.json").write_text(narration_json({UID: said}), encoding="utf-8")
    (tmp_path / "verbs.txt").write_text(VERBS, encoding="utf-8")
    (tmp_path / "nouns.txt").write_text(NOUNS, encoding="utf-8")
    captions = tmp_path / "captions.csv"
    rows = [f"{UID},{t},{sentence.removeprefix('#C C ')}\n" for t, sentence in enumerate(SENTENCES)]
    captions.write_text("".join(["video_id,second,text\n", *rows]), encoding="utf-8")
    reader = Ego4dReader(
        root,
        text=text,  # type: ignore[arg-type]
        captions=captions if text == "captions" else None,
        narration_pass=narration_pass,  # type: ignore[arg-type]
        others=others,  # type: ignore[arg-type]
        verb_index=tmp_path / "verbs.txt" if indexed else None,
        noun_index=tmp_path / "nouns.txt" if indexed else None,
    )
    assert check(reader) == (EVERY if indexed else WITHOUT_LABELS)
    if indexed:
        (recording,) = reader.recordings()
        read = {action.text: (action.verb, action.noun) for action in recording.actions}
        assert read["cuts the onion with a knife"] == ("cut (trim, slice)", "onion (onion, shallot)")
        assert read["puts-down the panel"] == ("put-down", None)
        assert read["Picked up two cutting-boards"] == ("pick (pick-up, grab)", "cutting board")
        assert read["brushes the floor"] == ("brush", "floor")
        assert read["schält Äpfel"] == (None, "äpfel")
        assert read["玉ねぎを切る"] == ("切る", None)


@pytest.mark.parametrize("kind", ["captions", "spans", "labels"])
def test_folder(tmp_path: Path, kind: str) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    (tmp_path / "gaze").mkdir()
    rows = {
        "captions": ["video_id,second,text", "a,0,Chops an onion", "a,1,...", "a,2,玉ねぎを切る", "a,3,\U0001f345"],
        "spans": ["video_id,start_s,end_s,text", "a,0,1.5,schält Äpfel", "a,1.5,2,कटता है", "a,2,3,ﬁlls the pot"],
        "labels": [
            "video_id,start_s,end_s,text,verb,noun",
            "a,0,1,She is cutting the Tomatoes,cut,tomato",
            "a,1,2,chops a tomato,cut,tomato",  # its text does not name this verb
            "a,2,3,puts the lid on the pot,put,pot",  # nor this noun first
            "a,3,4,lifts the lid,,lid",
            "a,4,5,washes the C++ mug,Wash,C++ mug",
            "a,5,6,玉ねぎを切る,切る,玉ねぎ",
        ],
    }
    (tmp_path / "captions.csv").write_text("\n".join(rows[kind]) + "\n", encoding="utf-8")
    assert check(FolderReader(tmp_path)) == (EVERY if kind == "labels" else WITHOUT_LABELS)
