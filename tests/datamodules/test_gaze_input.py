"""Gaze as an input: written or drawn where it is, the same at test, and never mixed with frames without it."""

from pathlib import Path

import pytest
import torch

from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.datamodules.gaze_input import RING_COLOUR, RING_RADIUS, all_written, draw_gaze, gaze_points, written
from gaze_vlm.datamodules.gaze_options import GazeOptions
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import GazeMixture

NAN = float("nan")


def module(store: Path, **options) -> ClipDataModule:  # type: ignore[no-untyped-def]
    made = ClipDataModule(store, **options)
    made.setup("fit")
    return made


def test_a_frames_gaze_is_the_weighted_mean_of_its_points() -> None:
    xy = torch.tensor([[[0.2, 0.4], [0.8, 0.8], [NAN, NAN]], [[NAN, NAN]] * 3])
    weight = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert gaze_points(GazeMixture(xy, weight, 0.02, 4 / 3)) == [(0.35, 0.5), None]


def test_gaze_is_written_frame_by_frame() -> None:
    points = [(0.483, 0.1), None, (0.5, 0.5), (0.99, 0.7), (-0.1, 1.2)]
    assert written(points, "coordinates").endswith(": 0.48 0.10. nothing. 0.50 0.50. 0.99 0.70. -0.10 1.20.")
    assert written(points, "words").endswith(": up. nothing. in the centre. right down. left down.")
    assert written(points, "none") == written(points, "drawn") == ""


def test_all_places_that_a_form_distinguishes() -> None:
    assert len(all_written("coordinates")) == 1 + 101 + 100
    assert len(all_written("words")) == 1 + 5  # the middle row and column, and none
    assert all_written("drawn") == [""]


def test_a_ring_lies_about_the_gaze_and_leaves_it_visible() -> None:
    frames = torch.zeros(2, 3, 120, 160, dtype=torch.uint8)
    drawn = draw_gaze(frames, [(0.25, 0.5), None])
    assert frames.eq(0).all()
    assert drawn[1].eq(0).all()
    red = torch.nonzero(drawn[0, 0] > 200).float() + 0.5
    assert red.mean(0).tolist() == pytest.approx([60, 40], abs=0.5)
    assert torch.hypot(*(red - torch.tensor([60, 40])).T).mean().item() == pytest.approx(RING_RADIUS * 160, abs=0.5)
    assert drawn[0, :, 60, 40].tolist() == [0, 0, 0]
    assert drawn.amax((0, 2, 3)).tolist() == list(RING_COLOUR)


def test_a_ring_may_leave_the_frame() -> None:
    frames = torch.full((2, 3, 60, 80), 7, dtype=torch.uint8)
    drawn = draw_gaze(frames, [(0.0, 0.0), (3.0, 3.0)])
    assert drawn[0, 0].amax() > 200
    assert torch.equal(drawn[1], frames[1])


@pytest.mark.parametrize("form", ["coordinates", "words"])
def test_the_question_has_the_gaze_in_every_split(prepared: Path, form: str) -> None:
    plain, told = module(prepared), module(prepared, gaze_input=form)
    assert told.sees_gaze_at_test
    assert not plain.sees_gaze_at_test
    for split, dataset in told.datasets.items():
        own, clip = plain.datasets[split][0], dataset[0]
        assert clip.prompt == own.prompt + written(gaze_points(own.gaze), form)
        assert dataset.described(0).content == plain.datasets[split].described(0).content
        assert torch.equal(clip.frames, own.frames)


def test_drawn_frames_have_features_of_their_own(prepared: Path) -> None:
    """Of the clip and of the drawing: another gaze is another file."""
    options = [
        {},
        {"gaze_input": "drawn"},
        {"gaze_input": "drawn", "gaze": GazeOptions(window_s=0)},
        {"gaze_input": "drawn", "train_gaze": "shuffled"},
    ]
    datasets = [module(prepared, **one).datasets["train"] for one in options]
    contents = [dataset.described(0).content for dataset in datasets]
    assert len(set(contents)) == len(contents)
    again = module(prepared, gaze_input="drawn", gaze=GazeOptions(sigma=0.3)).datasets["train"]
    assert again.described(0).content == contents[1]
    own, drawn = datasets[0], datasets[1]
    assert torch.equal(drawn.decode(0), draw_gaze(own.decode(0), drawn.described(0).points))
    assert drawn[0].prompt == own[0].prompt


def test_a_ring_on_blank_frames_is_refused(prepared: Path) -> None:
    with pytest.raises(InputError, match="frames is blank and gaze_input is drawn"):
        ClipDataModule(prepared, frames="blank", gaze_input="drawn")


def test_all_arms_may_be_scored_against_one_gaze(prepared: Path) -> None:
    wide = module(prepared, gaze=GazeOptions(sigma_scale=2), test_gaze=GazeOptions(window_s=0))
    plain = module(prepared, gaze=GazeOptions(window_s=0))
    assert wide.datasets["train"].gaze(0).sigma == 2 * GazeOptions().sigma
    for split in ("validation", "test"):
        own, other = wide.datasets[split].gaze(0), plain.datasets[split].gaze(0)
        assert own.sigma == other.sigma
        assert torch.equal(own.weight, other.weight)
