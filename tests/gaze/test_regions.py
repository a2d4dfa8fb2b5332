"""Regions against maps that are drawn and pooled."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.regions import Box, FrameRegions, Mask, Region, Spot
from gaze_vlm.gaze.view import Grid, View

GRID = Grid(4, 5)
SIDE = 400  # pixels of a drawn frame, a multiple of the grid's cells and of the boxes' sides


def on(*regions: Region, view: View = View(), grid: Grid = GRID, least: float = 0.5) -> tuple[torch.Tensor, bool]:  # noqa: B008
    mass, valid = FrameRegions([regions], 0.05, 4 / 3).on(grid, view, least)
    return mass[0], bool(valid)


def pooled(drawn: np.ndarray) -> torch.Tensor:
    """Mass of a drawn frame in each patch."""
    rows, columns = (side // cells for side, cells in zip(drawn.shape, (GRID.rows, GRID.columns), strict=True))
    sums = drawn.reshape(GRID.rows, rows, GRID.columns, columns).sum((1, 3))
    return torch.from_numpy(sums / sums.sum()).float().flatten()


def drawn_box(box: Box) -> np.ndarray:
    drawn = np.zeros((SIDE, SIDE))
    drawn[round(box.top * SIDE) : round(box.bottom * SIDE), round(box.left * SIDE) : round(box.right * SIDE)] = 1
    return drawn


@pytest.mark.parametrize("box", [Box(0.1, 0.2, 0.55, 0.9), Box(0, 0, 1, 1), Box(0.3, 0.3, 0.305, 0.305)])
def test_a_box_is_even_over_its_area(box: Box) -> None:
    mass, valid = on(box)
    assert valid
    assert torch.allclose(mass, pooled(drawn_box(box)), atol=1e-5)


def test_a_mask_is_even_over_its_pixels(tmp_path: Path) -> None:
    inside = np.random.default_rng(0).random((SIDE, SIDE)) < 0.2
    cv2.imwrite(str(tmp_path / "mask.png"), 255 * inside.astype(np.uint8))
    mass, valid = on(Mask(file=tmp_path / "mask.png"))
    assert valid
    assert torch.allclose(mass, pooled(inside), atol=1e-5)
    small = Mask(runs=(1, 2, 1), size_px=(2, 2))  # column by column: the lower left and the upper right
    assert small.pixels().tolist() == [[False, True], [True, False]]
    assert on(small, grid=Grid(2, 2))[0].tolist() == [0, 0.5, 0.5, 0]


def test_a_mask_of_another_size_than_the_grids_multiple() -> None:
    """Three columns of pixels on two of patches: the middle one is halved."""
    assert on(Mask(runs=(0, 2, 1), size_px=(1, 3)), grid=Grid(1, 2))[0].tolist() == pytest.approx([0.75, 0.25])


def test_a_point_is_as_gaze_is() -> None:
    mixture = GazeMixture(torch.tensor([[[0.3, 0.7], [0.8, 0.1]]]), torch.tensor([[1.0, 3.0]]), 0.05, 4 / 3)
    expected, _ = mixture.on(GRID, View(0.1, 0, 0.9, 1), 0.5)
    mass, _ = on(Spot(0.3, 0.7), Spot(0.8, 0.1, weight=3), view=View(0.1, 0, 0.9, 1))
    assert torch.allclose(mass, expected[0], atol=1e-6)


def test_regions_share_a_frame_by_their_weights() -> None:
    mass, _ = on(Box(0, 0, 0.2, 0.25), Box(0.8, 0.75, 1, 1, weight=3))
    assert mass[[0, -1]].tolist() == pytest.approx([0.25, 0.75])


def test_regions_follow_the_view() -> None:
    right_half = View(0.5, 0, 1, 1)
    mass, valid = on(Box(0.4, 0, 0.6, 1), view=right_half, grid=Grid(1, 5))
    assert valid
    assert mass.tolist() == pytest.approx([1, 0, 0, 0, 0], abs=1e-6)
    assert not on(Box(0.3, 0, 0.6, 1), view=right_half)[1]  # a third is in view
    assert on(Box(0.3, 0, 0.6, 1), view=right_half, least=0.3)[1]
    mass, valid = on(Box(0, 0, 0.4, 1), view=right_half)
    assert (mass.sum(), valid) == (0, False)


def test_a_frame_without_regions_is_invalid() -> None:
    mass, valid = FrameRegions([[Box(0, 0, 1, 1)], []], 0.05, 1.0).on(GRID, View(), 0.5)
    assert valid.tolist() == [True, False]
    assert mass.sum(-1).tolist() == pytest.approx([1, 0])


def test_a_picture_that_is_no_mask(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is gone or no picture"):
        on(Mask(file=tmp_path / "none.png"))
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match="is black"):
        on(Mask(file=tmp_path / "black.png"))
