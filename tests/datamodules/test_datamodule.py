import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Literal
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.datamodules.batches import EvenBatches
from gaze_vlm.datamodules.gaze_options import EventWeights, GazeOptions
from gaze_vlm.errors import InputError, UserError
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.gaze.view import Grid, View
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import Store, write_clips
from gaze_vlm.preparation.video_gaze import VideoGaze


def module(store: Path, **options) -> ClipDataModule:  # type: ignore[no-untyped-def]
    made = ClipDataModule(store, **options)
    made.setup("fit")
    return made


def test_a_clip(prepared: Path) -> None:
    made = module(prepared)
    dataset = made.datasets["train"]
    first, second = dataset[0], dataset[1]
    record = dataset.records[0]
    assert (first.task, second.task) == ("activity", "future")
    assert first.frames.shape == (4, 3, 96, 128)
    assert first.frames.dtype == torch.uint8
    assert first.frame_times_s == pytest.approx([1, 2, 3, 4])
    assert first.target == record.activity_text
    assert second.target == record.future_text
    assert first.prompt != second.prompt
    assert first.gaze.aspect == pytest.approx(4 / 3)
    assert made.labels.verb(first.target) == first.verb


@pytest.mark.parametrize("cached", [0, 4])
def test_what_a_loaders_process_is_given_can_be_sent_to_it(prepared: Path, cached: int) -> None:
    """Where it is no fork, as on a Mac; what is kept in memory stays behind."""
    made = module(prepared, cached_clips=cached, train_gaze="shuffled")
    dataset = made.datasets["train"]
    dataset.prepare_for(torch.neg, None)
    clip = dataset[0]
    sent = pickle.loads(pickle.dumps(dataset))
    assert sent.visual.cache_info().currsize == sent.described.cache_info().currsize == 0
    read = sent[0]
    assert torch.equal(read.visual["pixel_values"], clip.visual["pixel_values"])
    assert torch.equal(read.gaze.xy, clip.gaze.xy)
    assert (read.clip_id, read.target) == (clip.clip_id, clip.target)


def test_every_clip_is_in_one_split_and_served_once_a_task(prepared: Path) -> None:
    made = module(prepared)
    served = [
        (clip.clip_id, clip.task) for data in made.datasets.values() for clip in map(data.__getitem__, range(len(data)))
    ]
    assert len(served) == len(set(served)) == 2 * len(Store(prepared).clips)


def test_train_clips_are_drawn_by_the_seed(prepared: Path) -> None:
    def drawn(seed: int) -> list[str]:
        return [record.clip_id for record in module(prepared, train_clips=3, seed=seed).datasets["train"].records]

    assert len(drawn(0)) == 3
    assert drawn(0) == drawn(0)
    assert len({tuple(drawn(seed)) for seed in range(8)}) > 1


def test_shuffled_gaze_is_of_another_session_and_only_in_training(prepared: Path) -> None:
    own, shuffled = module(prepared), module(prepared, train_gaze="shuffled")
    data = shuffled.datasets["train"]
    for position, record in enumerate(data.records):
        donor = data.gaze.donors[position]
        assert donor.session != record.session
        assert torch.equal(
            data.gaze(position).xy.nan_to_num(),
            GazeOptions().mixture(data.store.video(donor.video_id), donor.sampled_frames, 4 / 3).xy.nan_to_num(),
        )
    for split in ("validation", "test"):
        assert torch.equal(own.datasets[split][0].gaze.xy, shuffled.datasets[split][0].gaze.xy)


def test_the_centre_prior_knows_no_gaze(prepared: Path) -> None:
    mixture = module(prepared, train_gaze="centre").datasets["train"].gaze(0)
    assert mixture.xy.eq(0.5).all()
    assert mixture.weight.eq(1).all()


def test_blank_frames_show_nothing_in_any_split(prepared: Path) -> None:
    own, blank = module(prepared), module(prepared, frames="blank")
    for split, dataset in blank.datasets.items():
        clip = dataset[0]
        assert len(clip.frames) == len(own.datasets[split][0].frames)
        assert clip.frames.unique().tolist() == [127]
        assert clip.target == own.datasets[split][0].target
    contents = {
        dataset.described(i).content for dataset in blank.datasets.values() for i in range(len(dataset.records))
    }
    assert len(contents) == 1  # features of the one clip that all of them show
    assert own.datasets["train"].described(0).content not in contents


def points() -> VideoGaze:
    """One frame with a point of its own, an older one, an occluded one, a saccade, and one untracked."""
    row = np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4], [np.nan, np.nan]], dtype=np.float32)[None]
    event = [GazeEvent.FIXATION, GazeEvent.FIXATION, GazeEvent.UNKNOWN, GazeEvent.SACCADE, GazeEvent.UNTRACKED]
    return VideoGaze(
        frame_t_s=np.array([1.0]),
        frame_pts=np.array([24]),
        xy=row,
        raw_xy=row + 0.05,
        age_s=np.array([[0, 0.15, 0.05, 0, 0]], dtype=np.float32),
        event=np.array([event], dtype=np.uint8),
        error=np.array([[0, 0, 0.5, 0, 0]], dtype=np.float32),
        occluded_share=np.array([[0, 0.7, 0, 0, 0]], dtype=np.float32),
        counts=None,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, [1, 1, 0, 1, 0]),
        ({"window_s": 0.1}, [1, 0, 0, 1, 0]),
        ({"occlusion": "frame"}, [1, 0, 1, 1, 0]),
        ({"occlusion": "none"}, [1, 1, 1, 1, 0]),
        ({"saccades": False}, [1, 1, 0, 0, 0]),
        ({"event_weights": EventWeights(saccade=0)}, [1, 1, 0, 0, 0]),
        ({"event_weights": EventWeights(fixation=2, saccade=0.5, unknown=3), "occlusion": "none"}, [2, 2, 3, 0.5, 0]),
        ({"event_weights": EventWeights(fixation=0, unknown=0), "saccades": True}, [0, 0, 0, 1, 0]),
    ],
)
def test_which_points_count(options: dict, weights: list[int]) -> None:
    assert GazeOptions(**options).mixture(points(), slice(0, 1), 1.0).weight.tolist() == [weights]


def test_events_without_any_weight_are_refused() -> None:
    with pytest.raises(InputError, match="event_weights are all 0"):
        EventWeights(0, 0, 0)
    with pytest.raises(InputError, match=r"event_weights.saccade is -1"):
        EventWeights(saccade=-1)


def test_sigma_is_scaled() -> None:
    assert GazeOptions(sigma=0.08, sigma_scale=2.5).mixture(points(), slice(0, 1), 1.0).sigma == pytest.approx(0.2)


def test_a_store_with_a_longer_window_serves_the_same_gaze(prepared: Path, raw_root: Path, tmp_path: Path) -> None:
    """So all arms but those of the longer window can be compared on it."""
    manifest = Store(prepared).manifest
    parameters = PreparationParameters(**manifest.parameters | {"window_s": 0.4})
    longer = module(prepare("egtea", raw_root, tmp_path / "store", parameters, workers=1))
    own, other = module(prepared).datasets["train"], longer.datasets["train"]
    assert longer.store.manifest.points > manifest.points
    for position in range(len(own.records)):
        at = Grid(8, 8), View(), 0.5
        (mass, valid), (same_mass, same_valid) = (data.gaze(position).on(*at) for data in (own, other))
        assert valid.tolist() == same_valid.tolist()
        assert torch.allclose(mass, same_mass, atol=1e-6)


def test_a_longer_window_than_was_prepared_is_refused(prepared: Path) -> None:
    with pytest.raises(ValueError, match=r"gaze window_s is 0.5, .*store was prepared with 0.2: lower it, or prepare"):
        module(prepared, gaze=GazeOptions(window_s=0.5))
    module(prepared, gaze=GazeOptions(window_s=0))


def test_saccades_are_left_out_of_a_prepared_data_set(prepared: Path) -> None:
    whole, fixations = module(prepared), module(prepared, gaze=GazeOptions(saccades=False))
    record = whole.datasets["train"].records[0]
    saccade = torch.from_numpy(whole.store.video(record.video_id).event[record.sampled_frames] == GazeEvent.SACCADE)
    before, after = (made.datasets["train"].gaze(0).weight for made in (whole, fixations))
    assert before[saccade].sum() > 0
    assert after[saccade].sum() == 0
    assert torch.equal(before[~saccade], after[~saccade])


def test_transport_is_a_choice() -> None:
    carried = GazeOptions().mixture(points(), slice(0, 1), 1.0).xy[0, 0]
    stayed = GazeOptions(transport=False).mixture(points(), slice(0, 1), 1.0).xy[0, 0]
    assert torch.allclose(stayed - carried, torch.tensor(0.05))


@pytest.mark.parametrize("clips", [1, 7, 32, 33, 100])
@pytest.mark.parametrize("processes", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_even_batches(clips: int, processes: int, batch_size: int) -> None:
    if clips < processes:
        with pytest.raises(ValueError, match="evaluate on at most 1 processes"):
            EvenBatches(clips, 2, batch_size, 0, processes)
        return
    ranks = [list(EvenBatches(clips, 2, batch_size, rank, processes)) for rank in range(processes)]
    assert len({len(batches) for batches in ranks}) == 1
    batches = [batch for of_rank in ranks for batch in of_rank]
    assert sorted(i for batch in batches for i in batch) == list(range(2 * clips))
    assert all(batch and batch[1::2] == [first + 1 for first in batch[::2]] for batch in batches)  # a clip's tasks
    assert batch_size == 1 or max(map(len, batches)) <= batch_size


def test_what_is_still_chosen_is_tested_on_validation(prepared: Path) -> None:
    made = module(prepared, test_split="validation")
    made.make_collator = Mock()
    made.trainer = SimpleNamespace(global_rank=0, world_size=1)  # type: ignore[assignment]
    assert made.test_dataloader().dataset is made.val_dataloader().dataset is made.datasets["validation"]


def test_a_store_to_test_on_needs_no_train_clips(raw_root: Path, tmp_path: Path) -> None:
    parameters = PreparationParameters(observation_s=4, anticipation_s=2, split_fractions=(0, 0, 1))
    store = prepare("egtea", raw_root, tmp_path / "store", parameters, workers=1)
    data = ClipDataModule(store, train_clips=800, train_gaze="shuffled")
    data.setup("test")
    assert set(data.datasets) == {"validation", "test"}
    assert len(data.datasets["test"].records) == data.clips_in("test") == len(Store(store).clips)
    assert data.clips_in("train") == 800
    with pytest.raises(ValueError, match=r"train_clips is 800, .* has 0 training clips"):
        data.setup("fit")


@pytest.mark.parametrize("test_split", ["test", "validation"])
def test_fixations_are_those_of_each_session_that_is_evaluated(prepared: Path, test_split: Literal["test"]) -> None:
    made, grid = module(prepared, test_split=test_split), Grid(2, 3)
    fixations = made.fixations_of_sessions("test", grid, View(), 0.5)
    dataset = made.datasets[test_split]
    assert fixations.keys() == {record.session for record in dataset.records}
    for session, of_session in fixations.items():
        positions = [i for i, record in enumerate(dataset.records) if record.session == session]
        points = sum(float(dataset.described(i).gaze.weight.sum()) for i in positions)
        assert of_session.shape == (6,)
        assert 0 < float(of_session.sum()) <= points


def test_a_list_of_objects_stands_for_noun_labels(prepared: Path, tmp_path: Path) -> None:
    listed = tmp_path / "objects.txt"
    listed.write_text("cup (mug)\n\nPan\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"has noun labels: leave data\.objects out"):
        module(prepared, objects=listed)
    store = tmp_path / "store"
    shutil.copytree(prepared, store)
    manifest = json.loads((store / "manifest.json").read_text())
    (store / "manifest.json").write_text(json.dumps(manifest | {"nouns": []}))
    texts = {"activity_text": "wash the mugs", "future_text": "put a cup into the pan"}
    unlabelled = {"activity_noun": None, "future_noun": None, "nouns": ()}
    write_clips(store / "clips.parquet", [replace(clip, **texts, **unlabelled) for clip in Store(prepared).clips])
    made = module(store, objects=listed)
    assert made.datasets["test"][0].nouns == ("Pan", "cup (mug)")
    assert made.labels.named_nouns("a pan") == ("Pan",)
    assert module(store).datasets["test"][0].nouns == ()
    for text, told in ((" \n", "has no word"), (None, "is missing")):
        other = tmp_path / "other.txt"
        if text is not None:
            other.write_text(text)
        with pytest.raises(UserError, match=f"{told}.*: write the words to it, one a line"):
            module(store, objects=other)
        other.unlink(missing_ok=True)
