"""Errors on training gaze: their size, what they share, and that they are the same each time."""

from pathlib import Path

import pytest
import torch

from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.datamodules.gaze_options import GazeNoise
from gaze_vlm.gaze.mixture import GazeMixture

MIXTURE = GazeMixture(torch.full((50, 40, 2), 0.5), torch.ones(50, 40), 0.02, 4 / 3)


def error(noise: GazeNoise, clip: str = "clip", video: str = "video") -> torch.Tensor:
    """Errors in frame widths along both axes."""
    return (noise(MIXTURE, clip, video).xy - MIXTURE.xy) / torch.tensor([1.0, MIXTURE.aspect])


def test_none_changes_nothing() -> None:
    mixture = GazeNoise()(MIXTURE, "clip", "video")
    assert torch.equal(mixture.xy, MIXTURE.xy)
    assert torch.equal(mixture.weight, MIXTURE.weight)


def test_noise_is_gaussian_in_frame_widths() -> None:
    drawn = error(GazeNoise(noise=0.05))
    assert drawn.mean((0, 1)).abs().max() < 0.005
    assert drawn.std((0, 1)).tolist() == pytest.approx([0.05, 0.05], rel=0.05)


def test_errors_are_in_degrees_where_the_field_of_view_is_known() -> None:
    degrees = GazeNoise(noise=3, offset=6, field_of_view_deg=60)
    assert torch.allclose(error(degrees), error(GazeNoise(noise=0.05, offset=0.1)), atol=1e-6)
    with pytest.raises(ValueError, match="field_of_view_deg is 0"):
        GazeNoise(field_of_view_deg=0)


def test_offset_is_one_a_video() -> None:
    noise = GazeNoise(offset=0.1)
    first, second = error(noise, "a", "v"), error(noise, "b", "v")
    assert torch.equal(first, second)
    assert torch.allclose(first.norm(dim=-1), torch.tensor(0.1), atol=1e-6)
    assert not torch.allclose(first, error(noise, "a", "w"))


def test_dropped_points_lose_their_weight() -> None:
    mixture = GazeNoise(dropped=0.25)(MIXTURE, "clip", "video")
    assert mixture.weight.eq(0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert GazeNoise(dropped=1)(MIXTURE, "clip", "video").weight.eq(0).all()
    assert mixture.weight.unique().tolist() == [0, 1]


def test_the_seed_and_the_clip_decide() -> None:
    noise = GazeNoise(noise=0.05, offset=0.1, dropped=0.5)
    again = GazeNoise(noise=0.05, offset=0.1, dropped=0.5)
    assert torch.equal(error(noise), error(again))
    assert torch.equal(noise(MIXTURE, "a", "v").weight, again(MIXTURE, "a", "v").weight)
    assert not torch.equal(noise(MIXTURE, "a", "v").weight, noise(MIXTURE, "b", "v").weight)
    assert not torch.equal(error(noise), error(GazeNoise(noise=0.05, offset=0.1, seed=1)))
    assert not torch.equal(error(noise, "a"), error(noise, "b"))


def test_untracked_points_stay_without_weight() -> None:
    xy, weight = torch.tensor([[[float("nan")] * 2, [0.5, 0.5]]]), torch.tensor([[0.0, 1.0]])
    mixture = GazeNoise(noise=0.1)(GazeMixture(xy, weight, 0.02, 1.0), "clip", "video")
    assert mixture.weight.tolist() == [[0, 1]]


def test_only_training_gaze_is_changed(prepared: Path) -> None:
    plain, noisy = ClipDataModule(prepared), ClipDataModule(prepared, train_noise=GazeNoise(noise=0.05, dropped=0.5))
    for made in (plain, noisy):
        made.setup("fit")
    for split in ("train", "validation", "test"):
        for position in range(len(plain.datasets[split].records)):
            own, changed = (made.datasets[split].gaze(position) for made in (plain, noisy))
            same = torch.equal(own.xy.nan_to_num(), changed.xy.nan_to_num()) and torch.equal(own.weight, changed.weight)
            assert same == (split != "train")
    assert torch.equal(noisy.datasets["train"].gaze(1).xy.nan_to_num(), noisy.datasets["train"].gaze(1).xy.nan_to_num())


@pytest.mark.parametrize(("values", "said"), [({"noise": -1}, "noise is -1"), ({"dropped": 1.5}, "dropped is 1.5")])
def test_wrong_values(values: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GazeNoise(**values)  # type: ignore[arg-type]
