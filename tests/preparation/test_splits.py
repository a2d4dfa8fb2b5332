"""Splits: whole groups, fractions, seeds, and the check for shared seconds."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.splits import assign_splits, check_overlap

RECORDINGS = [
    Recording(f"P{p:02d}-R{r:02d}-Pizza", Path("v.mp4"), None, f"P{p:02d}", 1280, 960, ())
    for p in range(10)
    for r in range(6)
]
CLIP = ClipRecord(
    "c",
    "v",
    "P01",
    "train",
    3,
    4,
    0.0,
    4.0,
    "a",
    None,
    None,
    "b",
    None,
    None,
    same_step=False,
    next_starts_in_s=1.0,
)


def test_fractions_by_session() -> None:
    splits = assign_splits(RECORDINGS, PreparationParameters(split_fractions=(0.6, 0.1, 0.3)))
    assert Counter(splits.values()) == {"train": 36, "validation": 6, "test": 18}


def test_participants_stay_together() -> None:
    parameters = PreparationParameters(split_by="participant", split_fractions=(0.6, 0.1, 0.3))
    splits = assign_splits(RECORDINGS, parameters)
    by_participant: dict[str, set[str]] = {}
    for recording in RECORDINGS:
        by_participant.setdefault(recording.participant, set()).add(splits[recording.video_id])
    assert all(len(labels) == 1 for labels in by_participant.values())
    assert Counter(splits.values()) == {"train": 36, "validation": 6, "test": 18}


def test_seed_decides_and_order_does_not() -> None:
    parameters = PreparationParameters()
    assert assign_splits(RECORDINGS, parameters) == assign_splits(RECORDINGS[::-1], parameters)
    assert assign_splits(RECORDINGS, parameters) != assign_splits(RECORDINGS, replace(parameters, split_seed=1))


@pytest.mark.parametrize("count", [3, 4, 5, 7])
def test_small_data_sets_fill_every_split(count: int) -> None:
    splits = assign_splits(RECORDINGS[:count], PreparationParameters(split_fractions=(0.9, 0.05, 0.05)))
    assert len(splits) == count
    assert set(splits.values()) == {"train", "validation", "test"}


def test_too_few_groups() -> None:
    parameters = PreparationParameters(split_by="participant")
    with pytest.raises(ValueError, match="1 participants cannot fill 3 splits"):
        assign_splits(RECORDINGS[:6], parameters)
    assert set(assign_splits(RECORDINGS[:6], replace(parameters, split_fractions=(0, 0, 1))).values()) == {"test"}


def test_shared_seconds_of_two_splits_are_an_error() -> None:
    later = replace(CLIP, clip_id="d", split="test", start_s=3.0, end_s=7.0)
    with pytest.raises(ValueError, match=r"clips c \(train\) and d \(test\) share seconds of v"):
        check_overlap([CLIP, later])
    inside = replace(later, start_s=1.0, end_s=2.0)
    between = replace(CLIP, clip_id="e", start_s=0.5, end_s=0.6)
    with pytest.raises(ValueError, match="share seconds"):
        check_overlap([inside, between, CLIP])


def test_no_shared_seconds() -> None:
    check_overlap([CLIP, replace(CLIP, start_s=2.0, end_s=6.0)])  # one split
    check_overlap([CLIP, replace(CLIP, split="test", start_s=4.0, end_s=8.0)])  # they touch
    check_overlap([CLIP, replace(CLIP, split="test", video_id="w")])  # two videos
