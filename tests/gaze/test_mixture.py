import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from gaze_vlm.gaze.mixture import GazeMixture, average_groups, patch_distribution
from gaze_vlm.gaze.view import Grid, View

WIDTH, HEIGHT = 544, 540
GRID = Grid(12, 16)
CENTRE_CROP, LETTERBOX = View(1 / 6, 0, 5 / 6, 1), View(0, -0.25, 1, 1.25)  # squares of a frame of 3:2
CELLS = 160  # pixels of a drawn patch: fine enough for the narrowest Gaussian


def brute_force(xy: np.ndarray, weight: np.ndarray, sigma: float, view: View, grid: Grid) -> np.ndarray:
    """Draw every pixel of a heat map then pool it into patches."""
    rows, columns = CELLS * grid.rows, CELLS * grid.columns
    x = view.left + (np.arange(columns) + 0.5) / columns * (view.right - view.left)
    y = view.top + (np.arange(rows) + 0.5) / rows * (view.bottom - view.top)
    heat = np.zeros((rows, columns))
    for (px, py), w in zip(xy, weight, strict=True):
        square = ((x[None] - px) * WIDTH) ** 2 + ((y[:, None] - py) * HEIGHT) ** 2
        heat += w * np.exp(-square / (2 * (sigma * WIDTH) ** 2))
    pooled = heat.reshape(grid.rows, CELLS, grid.columns, CELLS).sum((1, 3))
    return (pooled / pooled.sum()).ravel()


@pytest.mark.parametrize("sigma", [0.005, 0.0184, 0.046, 0.1])
@pytest.mark.parametrize("view", [View(), CENTRE_CROP, LETTERBOX, View(0.1, 0.2, 0.7, 0.9)])
def test_equals_a_brute_force_heat_map(sigma: float, view: View) -> None:
    rng = np.random.default_rng(round(sigma * 1e4))
    xy, weight = rng.uniform(0.25, 0.65, (6, 2)), rng.uniform(0.1, 1, 6)
    exact, _ = patch_distribution(torch.tensor(xy)[None], torch.tensor(weight)[None], sigma, WIDTH / HEIGHT, view, GRID)
    assert np.abs(exact[0].numpy() - brute_force(xy, weight, sigma, view, GRID)).max() < 1e-4
    assert exact.sum().item() == pytest.approx(1, abs=1e-5)


def test_equals_a_drawn_and_blurred_map() -> None:
    heat = np.zeros((HEIGHT, WIDTH))
    heat[99, 299] = 1
    blurred = gaussian_filter(heat, 0.04 * WIDTH, truncate=8)
    pooled = blurred.reshape(12, HEIGHT // 12, 16, WIDTH // 16).sum((1, 3)).ravel()
    xy = torch.tensor([[[299.5 / WIDTH, 99.5 / HEIGHT]]])
    exact, _ = patch_distribution(xy, torch.ones(1, 1), 0.04, WIDTH / HEIGHT, View(), GRID)
    assert np.abs(exact[0].numpy() - pooled).max() < 1e-4


def test_is_isotropic_in_pixels_and_not_in_normalised_units() -> None:
    distribution, _ = patch_distribution(torch.tensor([[[0.5, 0.5]]]), torch.ones(1, 1), 0.1, 2.0, View(), Grid(20, 40))
    square = distribution.view(20, 40)  # patches of as many pixels across as down
    assert torch.allclose(square[:, 20], square[10, 10:30], atol=1e-6)


@pytest.mark.parametrize(("xy", "cell"), [((0.05, 0.02), (0, 0)), ((0.95, 0.02), (0, 3)), ((0.55, 0.98), (2, 2))])
def test_x_is_the_column_and_y_the_row(xy: tuple[float, float], cell: tuple[int, int]) -> None:
    distribution, _ = patch_distribution(torch.tensor([[xy]]), torch.ones(1, 1), 0.005, 1.0, View(), Grid(3, 4))
    assert divmod(int(distribution.argmax()), 4) == cell


def test_a_point_without_weight_changes_nothing_even_if_it_is_nan() -> None:
    one = patch_distribution(torch.tensor([[[0.3, 0.4]]]), torch.ones(1, 1), 0.02, 1.0, View(), GRID)
    two = patch_distribution(
        torch.tensor([[[0.3, 0.4], [float("nan")] * 2]]), torch.tensor([[1.0, 0]]), 0.02, 1.0, View(), GRID
    )
    assert torch.equal(one[0], two[0])


def test_validity() -> None:
    xy = torch.tensor([[[0.5, 0.5]], [[0.02, 0.5]], [[0.5, 0.5]]])
    mixture = GazeMixture(xy, torch.tensor([[1.0], [1.0], [0.0]]), 0.02, 1.0)
    distribution, valid = mixture.on(GRID, View(0.25, 0.25, 0.75, 0.75), min_mass_in_view=0.5)
    assert valid.tolist() == [True, False, False]  # in view; out of view; nothing counts
    assert distribution[2].eq(0).all()


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_in_view_out_of_range_is_refused(share: float) -> None:
    mixture = GazeMixture(torch.full((1, 1, 2), 0.5), torch.ones(1, 1), 0.05, 1.0)
    with pytest.raises(ValueError, match=r"min_mass_in_view is .*; expected a share above 0 and up to 1"):
        mixture.on(GRID, View(), share)
    assert mixture.on(GRID, View(), 1.0)[1].shape == (1,)


def test_moving_the_view_moves_gaze_with_the_pixels() -> None:
    frames = torch.zeros(1, 3, 60, 90, dtype=torch.uint8)
    frames[..., 30:36, 54:60] = 255
    xy = torch.tensor([[[57 / 90, 33 / 60]]])
    for view in (View(), CENTRE_CROP, LETTERBOX, View(0.2, 0.1, 0.9, 0.8)):
        seen = view.pixels(frames, 96, 96)[0, 0].float()
        distribution, _ = patch_distribution(xy, torch.ones(1, 1), 0.005, 1.5, view, Grid(8, 8))
        bright = seen.reshape(8, 12, 8, 12).sum((1, 3)).argmax()
        assert int(bright) == int(distribution.argmax()), view


@pytest.mark.parametrize("make", [lambda: Grid(0, 3), lambda: View(0.5, 0, 0.5, 1)])
def test_empty_shapes_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"must be"):
        make()


def test_sigma_must_be_positive() -> None:
    with pytest.raises(ValueError, match="sigma 0"):
        patch_distribution(torch.zeros(1, 1, 2), torch.ones(1, 1), 0, 1.0, View(), GRID)


def test_a_group_has_the_mean_of_its_valid_frames() -> None:
    frames = torch.eye(8)[:, :3] + torch.eye(8).roll(1, 0)[:, :3]
    valid = torch.tensor([True, True, True, False, False, True, False, False])
    groups, counts = average_groups(frames, valid, 2)
    means = [(frames[0] + frames[1]) / 2, frames[2], frames[5], (frames[6] + frames[7]) / 2]
    assert torch.allclose(groups, torch.stack(means))
    assert counts.tolist() == [True, True, True, False]


def test_a_group_of_one_frame_is_that_frame() -> None:
    frames, valid = torch.rand(4, 5), torch.tensor([True, False, True, False])
    groups, counts = average_groups(frames, valid, 1)
    assert torch.equal(groups, frames)
    assert torch.equal(counts, valid)


def test_fixations_are_the_weights_of_the_points_in_each_patch_of_the_view() -> None:
    """On the lower and right edges too; a point outside, or without weight and NaN, is in none."""
    xy = torch.tensor([[[0.5, 0.1], [0.49, 0.2], [1.0, 1.0], [0.1, 0.6], [float("nan"), 0.0]]])
    mixture = GazeMixture(xy, torch.tensor([[1.0, 0.5, 2.0, 1.0, 0.0]]), 0.1, 1.0)
    assert mixture.fixations_on(Grid(2, 2), View()).tolist() == [[0.5, 1.0, 1.0, 2.0]]
    assert mixture.fixations_on(Grid(1, 2), View(0.4, 0.0, 0.8, 1.0)).tolist() == [[1.5, 0.0]]
    assert mixture.fixations_on(Grid(1, 1), View(-9.0, -9.0, 9.0, 9.0)).tolist() == [[4.5]]
