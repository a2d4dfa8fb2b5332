"""Labels that can be scored, and the nouns of a clip."""

from pathlib import Path

from gaze_vlm.formats.recording import Action, Recording
from gaze_vlm.preparation.clips import video_clips
from gaze_vlm.preparation.labels import UNKNOWN, UNNAMED, with_labels
from gaze_vlm.preparation.parameters import PreparationParameters

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
