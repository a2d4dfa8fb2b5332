"""Whose gaze a clip is given: donors of other sessions and other times."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.datamodules.gaze_sources import of_other_sessions, of_other_times
from gaze_vlm.errors import InputError
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import Store


@pytest.fixture
def clip(prepared: Path) -> ClipRecord:
    return Store(prepared).clips[0]


def clips(clip: ClipRecord, session: str, ends_s: list[float]) -> list[ClipRecord]:
    """Clips of 4 s of a session that end at these times."""
    return [
        replace(clip, clip_id=f"{session}{end_s}", session=session, start_s=end_s - 4, end_s=end_s) for end_s in ends_s
    ]


def test_every_clip_lends_its_gaze_to_one_of_another_session(clip: ClipRecord) -> None:
    records = [*clips(clip, "a", [4, 6, 8]), *clips(clip, "b", [4, 6, 8]), *clips(clip, "c", [4, 6])]
    for seed in range(8):
        donors = of_other_sessions(records, np.random.default_rng(seed))
        assert {donor.clip_id for donor in donors} == {record.clip_id for record in records}
        assert all(donor.session != record.session for donor, record in zip(donors, records, strict=True))
    with pytest.raises(InputError, match="more than half of the training clips are of one session"):
        of_other_sessions(records[:5], np.random.default_rng(0))


def test_another_time_of_the_session_shares_no_second(clip: ClipRecord) -> None:
    records = clips(clip, "a", [4, 6, 8, 10, 12, 14, 16]) + clips(clip, "b", [20, 30])
    donors = of_other_times(records[::2], records[::-1], window_s=0.2)
    assert [donor and donor.clip_id for donor in donors] == ["a10", "a14", "a4", "a8", "b20"]
    for record, donor in zip(records[::2], donors, strict=True):
        assert donor is not None
        assert donor.session == record.session
        assert donor.end_s <= record.start_s - 0.2 or donor.start_s >= record.end_s + 0.2


def test_a_clip_without_another_time_has_no_donor(clip: ClipRecord) -> None:
    """Alone, or beside clips that overlap it: by a window of gaze too."""
    records = [*clips(clip, "alone", [4]), *clips(clip, "near", [4, 8]), *clips(clip, "far", [4, 8.5])]
    donors = of_other_times(records, records, window_s=0.2)
    assert [donor and donor.clip_id for donor in donors] == [None, None, None, "far8.5", "far4"]
    with pytest.raises(InputError, match="no training clip has another one in its session that shares no second"):
        of_other_times(records[:3], records[:3], window_s=0.2)


def test_times_count_from_the_start_of_the_session(clip: ClipRecord) -> None:
    """Of trimmed videos, whose own times all begin at 0."""
    records = [replace(clip, clip_id=str(start_s), session_start_s=start_s) for start_s in (0.0, 60.0)]
    assert of_other_times(records, records, window_s=0.2) == records[::-1]


def test_a_clip_without_a_donor_has_no_valid_gaze(prepared: Path) -> None:
    data = ClipDataModule(prepared)
    data.setup("fit")
    dataset = data.datasets["train"]
    gaze = replace(dataset.gaze, donors=[None, *dataset.records[1:]])
    assert gaze.without_donor == 1
    assert gaze(0).weight.eq(0).all()
    assert gaze(0).weight.shape == dataset.gaze(0).weight.shape
    assert torch.equal(gaze(1).weight, dataset.gaze(1).weight)


def test_gaze_of_another_time_is_of_the_training_alone(raw_root: Path, tmp_path: Path) -> None:
    parameters = PreparationParameters(observation_s=1, anticipation_s=1, split_fractions=(0.6, 0.1, 0.3))
    store = prepare("egtea", raw_root, tmp_path / "store", parameters, workers=1)
    own, shuffled = ClipDataModule(store), ClipDataModule(store, train_gaze="shuffled_in_time", train_clips=3)
    for made in (own, shuffled):
        made.setup("fit")
    train = shuffled.datasets["train"]
    for record, donor in zip(train.records, train.gaze.donors, strict=True):
        assert donor is not None
        assert donor.session == record.session
        assert abs(donor.end_s - record.end_s) >= 1.2
    assert torch.equal(own.datasets["test"][0].gaze.xy, shuffled.datasets["test"][0].gaze.xy)
