"""Splits: whole groups, fractions, seeds, and the check for shared seconds."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gaze_vlm.formats.recording import Action, Recording
from gaze_vlm.preparation.parameters import PreparationParameters, SplitBy
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.splits import check_overlap, required_splits, shared_seconds, with_splits

RECORDINGS = [
    Recording(f"P{p:02d}-R{r:02d}-Pizza", Path("v.mp4"), None, f"P{p:02d}", 1280, 960, ())
    for p in range(10)
    for r in range(6)
]
CLIP = ClipRecord(
    clip_id="c",
    video_id="v",
    session="v",
    session_start_s=0.0,
    participant="P01",
    split="train",
    last_frame=3,
    frames=4,
    start_s=0.0,
    end_s=4.0,
    activity_text="a",
    activity_verb=None,
    activity_noun=None,
    future_text="b",
    future_verb=None,
    future_noun=None,
    same_action=False,
    future_starts_in_s=1.0,
    nouns=(),
)


def split_of(recordings: list[Recording], parameters: PreparationParameters) -> dict[str, str | None]:
    return {recording.video_id: recording.split for recording in with_splits(recordings, parameters)}


def test_fractions_by_session() -> None:
    splits = split_of(RECORDINGS, PreparationParameters(split_fractions=(0.6, 0.1, 0.3)))
    assert Counter(splits.values()) == {"train": 36, "validation": 6, "test": 18}


def test_participants_stay_together() -> None:
    parameters = PreparationParameters(split_by="participant", split_fractions=(0.6, 0.1, 0.3))
    splits = split_of(RECORDINGS, parameters)
    by_participant: dict[str, set[str]] = {}
    for recording in RECORDINGS:
        by_participant.setdefault(recording.participant, set()).add(splits[recording.video_id])
    assert all(len(labels) == 1 for labels in by_participant.values())
    assert Counter(splits.values()) == {"train": 36, "validation": 6, "test": 18}


def test_a_split_by_unknown_participants_is_warned_of() -> None:
    alone = [replace(recording, participant=recording.video_id) for recording in RECORDINGS]
    with pytest.warns(UserWarning, match="by participant, and nothing says who they are"):
        split_of(alone, PreparationParameters(split_by="participant"))


def test_seed_decides_and_order_does_not() -> None:
    parameters = PreparationParameters()
    assert split_of(RECORDINGS, parameters) == split_of(RECORDINGS[::-1], parameters)
    assert split_of(RECORDINGS, parameters) != split_of(RECORDINGS, replace(parameters, split_seed=1))


@pytest.mark.parametrize("count", [3, 4, 5, 7])
def test_small_data_sets_fill_every_split(count: int) -> None:
    splits = split_of(RECORDINGS[:count], PreparationParameters(split_fractions=(0.9, 0.05, 0.05)))
    assert len(splits) == count
    assert set(splits.values()) == {"train", "validation", "test"}


def test_too_few_groups() -> None:
    parameters = PreparationParameters(split_by="participant")
    with pytest.raises(
        ValueError,
        match=r"1 participants cannot fill 3 splits: parameters.split_fractions is \[.*\] and .*by is 'participant'",
    ):
        split_of(RECORDINGS[:6], parameters)
    assert set(split_of(RECORDINGS[:6], replace(parameters, split_fractions=(0, 0, 1))).values()) == {"test"}


def test_trimmed_videos_of_a_session_stay_together() -> None:
    trimmed = [
        replace(recording, video_id=f"{recording.video_id}-{k}", session=recording.video_id)
        for recording in RECORDINGS
        for k in range(3)
    ]
    whole = split_of(RECORDINGS, PreparationParameters())
    parts = split_of(trimmed, PreparationParameters())
    assert all(parts[recording.video_id] == whole[str(recording.session)] for recording in trimmed)


def official(index: int) -> Recording:
    """Of ten sessions: three with both parts, six for training alone, and one that is in no split."""
    parts = {9: (None, None)}.get(index, ("train", "test") if index < 3 else ("train", None))
    actions = tuple(Action(2.0 * k, 2.0 * k + 2, "cut", None, None, part) for k, part in enumerate(parts))
    return replace(RECORDINGS[index], actions=actions)


def test_official_split_gives_a_share_of_its_training_sessions_to_validation() -> None:
    recordings = [official(index) for index in range(10)]
    parameters = PreparationParameters(split_by="official", split_fractions=(0.5, 0.3, 0.2))
    splits = with_splits(recordings, parameters)
    assert with_splits(recordings[::-1], parameters) == splits
    assert with_splits(recordings, replace(parameters, split_seed=1)) != splits
    assert all(recording.split is None for recording in splits)
    drawn = [recording for recording in splits if recording.actions[0].split == "validation"]
    assert len(drawn) == 3  # of nine
    for before, after in zip(recordings, splits, strict=True):
        moved = {"train": "validation" if after in drawn else "train"}
        assert [a.split for a in after.actions] == [moved.get(str(a.split), a.split) for a in before.actions]


def test_official_split_of_videos() -> None:
    parts = ["train"] * 4 + ["test"] * 2 + [None]
    recordings = [replace(RECORDINGS[k], split=part) for k, part in enumerate(parts)]
    splits = split_of(recordings, PreparationParameters(split_by="official"))
    assert Counter(splits.values()) == {"train": 3, "validation": 1, "test": 2, None: 1}
    assert [splits[recording.video_id] for recording in recordings[4:]] == ["test", "test", None]
    none = PreparationParameters(split_by="official", split_fractions=(1, 0, 0))
    assert [recording.split for recording in with_splits(recordings, none)] == parts


def test_no_official_split() -> None:
    parameters = PreparationParameters(split_by="official")
    with pytest.raises(ValueError, match="no video or action has an official split"):
        with_splits(RECORDINGS, parameters)
    with pytest.raises(ValueError, match="1 training sessions cannot give 1 to validation"):
        with_splits([replace(RECORDINGS[0], split="train")], parameters)


def test_shared_seconds_of_two_splits_are_an_error() -> None:
    later = replace(CLIP, clip_id="d", split="test", start_s=3.0, end_s=7.0)
    with pytest.raises(ValueError, match="1 s of session v are in clips of several splits"):
        check_overlap([CLIP, later], "session")
    inside = replace(later, start_s=1.0, end_s=2.0)
    between = replace(CLIP, clip_id="e", start_s=0.5, end_s=0.6)
    with pytest.raises(ValueError, match="1 s of session v"):
        check_overlap([inside, between, CLIP], "participant")


def test_no_shared_seconds() -> None:
    check_overlap([CLIP, replace(CLIP, start_s=2.0, end_s=6.0)], "session")  # one split
    check_overlap([CLIP, replace(CLIP, split="test", start_s=4.0, end_s=8.0)], "session")  # they touch
    check_overlap([CLIP, replace(CLIP, split="test", session="w")], "session")  # two sessions


def test_an_official_split_warns_of_what_it_shares() -> None:
    touching = replace(CLIP, split="test", start_s=4.0, end_s=8.0)
    later = replace(CLIP, split="validation", start_s=6.0, end_s=9.0)
    other = replace(CLIP, session="w")
    with pytest.warns(UserWarning, match="shares 1 sessions between its parts, and 2 s of them"):
        check_overlap([CLIP, touching, later, other], "official")
    check_overlap([CLIP, other], "official")


def test_shared_seconds_are_counted_once_and_in_the_sessions_time() -> None:
    tests = [replace(CLIP, split="test", start_s=start, end_s=start + 4) for start in (2.0, 2.5, 3.0)]
    assert shared_seconds([CLIP, *tests]) == {"v": 2.0}
    trimmed = [replace(CLIP, split="test", session_start_s=1.5), replace(CLIP, split="test", session_start_s=100.0)]
    assert shared_seconds([CLIP, *trimmed]) == {"v": 2.5}
    assert shared_seconds([CLIP, trimmed[1]]) == {"v": 0.0}
    assert shared_seconds([CLIP, CLIP]) == {}


@pytest.mark.parametrize(
    ("split_by", "fractions", "asked"),
    [
        ("session", (0.6, 0.1, 0.3), ("train", "validation", "test")),
        ("participant", (0, 0, 1), ("test",)),
        ("official", (1, 0, 0), ("train", "test")),
        ("official", (0.9, 0.1, 0), ("train", "validation", "test")),
    ],
)
def test_splits_that_will_be_asked_for(split_by: SplitBy, fractions: tuple, asked: tuple[str, ...]) -> None:
    assert required_splits(PreparationParameters(split_by=split_by, split_fractions=fractions)) == asked
