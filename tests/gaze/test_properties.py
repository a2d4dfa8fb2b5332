"""What holds for any gaze, view and grid."""

import math

import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gaze_vlm.gaze.mixture import GazeMixture, patch_distribution
from gaze_vlm.gaze.view import Grid, View

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

places = st.floats(-0.5, 1.5)
weights = st.sampled_from([0.0, 0.25, 1.0])
aspects = st.floats(0.5, 2.0)
sigmas = st.floats(0.004, 0.3)
grids = st.builds(Grid, rows=st.integers(1, 12), columns=st.integers(1, 12))


@st.composite
def views(draw: st.DrawFn) -> View:
    """Any box, as a crop, a padding, or both."""
    left, top = draw(st.floats(-0.5, 0.7)), draw(st.floats(-0.5, 0.7))
    return View(left, top, left + draw(st.floats(0.1, 1.5)), top + draw(st.floats(0.1, 1.5)))


@st.composite
def points(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Points [frame, point, 2] and weights [frame, point]; a point without weight may be NaN, as untracked gaze is."""
    frames, count = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    rows = [
        [(draw(places), draw(places), draw(weights), draw(st.booleans())) for _ in range(count)] for _ in range(frames)
    ]
    xy = torch.tensor([[(x, y) for x, y, *_ in row] for row in rows])
    weight = torch.tensor([[w for *_, w, _ in row] for row in rows])
    lost = torch.tensor([[nan for *_, nan in row] for row in rows]) & (weight == 0)
    return xy.masked_fill(lost[..., None], math.nan), weight


@QUICK
@given(points(), sigmas, aspects, views(), grids)
def test_mass_is_conserved(gaze: tuple, sigma: float, aspect: float, view: View, grid: Grid) -> None:
    """The distribution is finite and sums to 1, or to 0 where nothing is in view; the share in view is a share."""
    xy, weight = gaze
    distribution, in_view = patch_distribution(xy, weight, sigma, aspect, view, grid)
    assert distribution.shape == (len(xy), len(grid))
    assert torch.isfinite(distribution).all()
    assert (distribution >= -1e-6).all()
    assert ((in_view >= 0) & (in_view <= 1 + 1e-5)).all()
    total = distribution.sum(-1)
    assert torch.allclose(total[in_view > 1e-4], torch.tensor(1.0), atol=1e-4)
    assert (in_view[weight.sum(-1) == 0] == 0).all()
    assert (total[weight.sum(-1) == 0] == 0).all()


@QUICK
@given(points(), sigmas, aspects, grids)
def test_a_view_of_everything_holds_all_mass(gaze: tuple, sigma: float, aspect: float, grid: Grid) -> None:
    xy, weight = gaze
    _, in_view = patch_distribution(xy, weight, sigma, aspect, View(-4.0, -4.0, 5.0, 5.0), grid)
    assert torch.allclose(in_view, (weight.sum(-1) > 0).float(), atol=1e-4)


@QUICK
@given(points(), sigmas, aspects, views(), grids, st.floats(0.05, 0.95))
def test_validity(gaze: tuple, sigma: float, aspect: float, view: View, grid: Grid, least: float) -> None:
    """A frame is valid where enough of the weighted points' mass is in the box, which one-dimensional CDFs tell."""
    xy, weight = gaze
    _, valid = GazeMixture(xy, weight, sigma, aspect).on(grid, view, least)
    normal = torch.distributions.Normal(0.0, 1.0)
    for frame in range(len(xy)):
        counted = weight[frame] > 0
        x, y = xy[frame, counted].double().unbind(-1)
        across = normal.cdf((view.right - x) / sigma) - normal.cdf((view.left - x) / sigma)
        down = normal.cdf((view.bottom - y) / (sigma * aspect)) - normal.cdf((view.top - y) / (sigma * aspect))
        total = weight[frame, counted].sum()
        share = float((weight[frame, counted] * across * down).sum() / total) if counted.any() else 0.0
        if abs(share - least) > 1e-3:
            assert bool(valid[frame]) == (share > least)


@QUICK
@given(points(), sigmas, aspects, views(), grids, st.integers(-3, 3), st.integers(-3, 3))
def test_moving_the_view_by_patches_moves_the_distribution(
    gaze: tuple, sigma: float, aspect: float, view: View, grid: Grid, right: int, down: int
) -> None:
    """Patches that both views hold keep their mass relative to one another."""
    assume(abs(right) < grid.columns and abs(down) < grid.rows)
    step_x, step_y = right * view.size[0] / grid.columns, down * view.size[1] / grid.rows
    moved = View(view.left + step_x, view.top + step_y, view.right + step_x, view.bottom + step_y)
    xy, weight = gaze
    masses = []
    for seen in (view, moved):
        distribution, in_view = patch_distribution(xy, weight, sigma, aspect, seen, grid)
        masses.append((distribution * in_view[:, None]).view(-1, grid.rows, grid.columns))
    before, after = masses
    rows, columns = grid.rows - abs(down), grid.columns - abs(right)
    overlap = before[:, max(0, down) :, max(0, right) :][:, :rows, :columns]
    assert torch.allclose(overlap, after[:, max(0, -down) :, max(0, -right) :][:, :rows, :columns], atol=1e-4)


@QUICK
@given(points(), sigmas, aspects, views(), grids, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_moving_gaze_and_view_together_changes_nothing(
    gaze: tuple, sigma: float, aspect: float, view: View, grid: Grid, dx: float, dy: float
) -> None:
    xy, weight = gaze
    moved = View(view.left + dx, view.top + dy, view.right + dx, view.bottom + dy)
    before, share = patch_distribution(xy, weight, sigma, aspect, view, grid)
    after, share_moved = patch_distribution(xy + torch.tensor([dx, dy]), weight, sigma, aspect, moved, grid)
    assert torch.allclose(share, share_moved, atol=1e-4)
    seen = share > 0.01  # a smaller share is all rounding
    assert torch.allclose(before[seen], after[seen], atol=1e-3)


@QUICK
@given(points(), sigmas, aspects, views(), st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))
def test_a_finer_grid_adds_up_to_the_coarser_one(
    gaze: tuple, sigma: float, aspect: float, view: View, rows: int, columns: int, factor: int
) -> None:
    xy, weight = gaze
    coarse, share = patch_distribution(xy, weight, sigma, aspect, view, Grid(rows, columns))
    fine, _ = patch_distribution(xy, weight, sigma, aspect, view, Grid(rows * factor, columns * factor))
    summed = fine.view(-1, rows, factor, columns, factor).sum((2, 4)).flatten(1)
    seen = share > 0.01
    assert torch.allclose(summed[seen], coarse[seen], atol=1e-3)


@QUICK
@given(points(), sigmas, aspects, views(), grids, st.randoms(use_true_random=False))
def test_the_order_of_points_and_the_scale_of_weights_do_not_matter(
    gaze: tuple, sigma: float, aspect: float, view: View, grid: Grid, random: object
) -> None:
    xy, weight = gaze
    order = list(range(xy.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    before, share = patch_distribution(xy, weight, sigma, aspect, view, grid)
    after, again = patch_distribution(xy[:, order], 3 * weight[:, order], sigma, aspect, view, grid)
    assert torch.allclose(share, again, atol=1e-5)
    seen = share > 0.01
    assert torch.allclose(before[seen], after[seen], atol=1e-4)
