"""Every score equals a slow one, written from its definition with explicit points and pairs, and holds at its edges."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze_vlm.metrics.saliency import (
    area_under_curve,
    area_under_judds_curve,
    correlation,
    information_gain,
    inside_gaze,
    scanpath_saliency,
    similarity,
    top_overlap,
)

QUICK = settings(max_examples=50, deadline=None, derandomize=True)
PATCHES = 24
FLOOR = 1e-3


def looked_at(fixations: np.ndarray) -> list[int]:
    """The patch of every fixation; a weight of 2 is two of them."""
    return [patch for patch, weight in enumerate(fixations) for _ in range(int(weight))]


def plain_correlation(a: np.ndarray, g: np.ndarray) -> float:
    return float(np.corrcoef(a, g)[0, 1])


def plain_similarity(a: np.ndarray, g: np.ndarray) -> float:
    return sum(min(x, y) for x, y in zip(a, g, strict=True))


def plain_nss(a: np.ndarray, fixations: np.ndarray) -> float:
    return float(np.mean([(a[patch] - a.mean()) / a.std() for patch in looked_at(fixations)]))


def plain_area(positives: list[float], negatives: list[float]) -> float:
    """Trapezoids under the ROC curve, with every value as a threshold."""
    thresholds = [math.inf, *sorted({*positives, *negatives}, reverse=True)]
    hits, alarms = (
        [np.mean([value >= threshold for value in values]) for threshold in thresholds]
        for values in (positives, negatives)
    )
    return float(np.trapezoid(hits, alarms))


def plain_auc(a: np.ndarray, fixations: np.ndarray) -> float:
    return plain_area([a[patch] for patch in looked_at(fixations)], list(a[fixations == 0]))


def plain_shuffled_auc(a: np.ndarray, fixations: np.ndarray, elsewhere: np.ndarray) -> float:
    return plain_area(*([a[patch] for patch in looked_at(where)] for where in (fixations, elsewhere)))


def plain_gain(a: np.ndarray, prior: np.ndarray, fixations: np.ndarray) -> float:
    bits = [
        math.log2((1 - FLOOR) * a[patch] + FLOOR / PATCHES) - math.log2((1 - FLOOR) * prior[patch] + FLOOR / PATCHES)
        for patch in looked_at(fixations)
    ]
    return float(np.mean(bits))


def plain_top_overlap(a: np.ndarray, g: np.ndarray) -> float:
    held, inside = 0.0, set()
    for patch in np.argsort(-g):
        if held < 0.95:
            inside.add(int(patch))
        held += g[patch]
    return sum(int(patch) in inside for patch in np.argsort(-a)[:10]) / 10


def maps(seed: int, count: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Attention and gaze, and fixations of a frame and of others; whole numbers of fixations."""
    draw = np.random.default_rng(seed)
    attention, gaze = draw.dirichlet(np.full(PATCHES, 0.3), (2, count))
    fixations, elsewhere = draw.multinomial(6, gaze), draw.multinomial(50, gaze[::-1])
    return attention, gaze, fixations.astype(float), elsewhere.astype(float)


def check(plain: Callable[..., float], fast: Callable[..., torch.Tensor], *of_frames: np.ndarray) -> None:
    slow = [plain(*one) for one in zip(*of_frames, strict=True)]
    assert fast(*map(torch.from_numpy, of_frames)).numpy() == pytest.approx(np.array(slow), abs=1e-9)
    single = fast(*(torch.from_numpy(one).float() for one in of_frames))
    assert single.numpy() == pytest.approx(np.array(slow), rel=1e-4, abs=1e-4)


def test_equal_their_definitions() -> None:
    attention, gaze, fixations, elsewhere = maps(0)
    check(plain_correlation, correlation, attention, gaze)
    check(plain_similarity, similarity, attention, gaze)
    check(plain_nss, scanpath_saliency, attention, fixations)
    check(plain_auc, area_under_judds_curve, attention, fixations)
    check(plain_shuffled_auc, area_under_curve, attention, fixations, elsewhere)
    check(plain_gain, information_gain, attention, gaze, fixations)
    check(plain_top_overlap, top_overlap, attention, gaze)


def test_equal_their_definitions_where_values_tie() -> None:
    attention, _, fixations, elsewhere = maps(1)
    attention = np.round(attention, 2)  # mostly 0, and some values twice
    check(plain_auc, area_under_judds_curve, attention, fixations)
    check(plain_shuffled_auc, area_under_curve, attention, fixations, elsewhere)


def test_heads_are_scored_together_with_one_gaze() -> None:
    attention, _, fixations, _ = maps(2, 6)
    heads, of_frames = torch.from_numpy(attention).view(2, 3, PATCHES), torch.from_numpy(fixations[:2])[:, None]
    together = area_under_judds_curve(heads, of_frames)
    assert together.shape == (2, 3)
    for frame in range(2):
        assert together[frame].tolist() == pytest.approx(
            [plain_auc(head.numpy(), fixations[frame]) for head in heads[frame]]
        )


@pytest.mark.parametrize("patches", [49, 64, 576])
@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_a_constant_map_scores_as_chance(patches: int, noise: float) -> None:
    """One that is constant but for rounding, too: the mean of 49 equal values need not be that value."""
    attention = torch.full((patches,), 1 / patches) * (1 + noise * torch.randn(patches, dtype=torch.double))
    fixations = torch.zeros(patches)
    fixations[3], fixations[5] = 2, 1
    gaze = fixations / 3
    assert correlation(attention, gaze) == correlation(gaze, attention) == 0
    assert scanpath_saliency(attention, fixations) == 0
    assert area_under_judds_curve(attention, fixations) == 0.5
    assert area_under_curve(attention, fixations, fixations.flip(0)) == 0.5
    assert top_overlap(attention, gaze) == pytest.approx(2 / patches)
    uniform = torch.full((patches,), 1 / patches)
    assert information_gain(attention, uniform, fixations) == pytest.approx(0, abs=1e-6)


def test_what_is_asked_of_no_fixation_is_nan() -> None:
    attention, gaze, fixations, _ = (torch.from_numpy(one[0]) for one in maps(3))
    nothing, everywhere = torch.zeros(PATCHES), torch.ones(PATCHES)
    assert scanpath_saliency(attention, nothing).isnan()
    assert information_gain(attention, gaze, nothing).isnan()
    assert area_under_judds_curve(attention, nothing).isnan()
    assert area_under_judds_curve(attention, everywhere).isnan()
    assert area_under_curve(attention, fixations, nothing).isnan()


def test_a_patch_without_attention_costs_a_finite_number_of_bits() -> None:
    attention, prior = torch.eye(PATCHES)[0], torch.full((PATCHES,), 1 / PATCHES)
    lost = information_gain(attention, prior, torch.eye(PATCHES)[1], FLOOR)
    assert float(lost) == pytest.approx(math.log2(FLOOR), abs=1e-5)


def test_inside_gaze_are_the_fewest_patches_that_hold_its_mass() -> None:
    assert inside_gaze(torch.tensor([0.5, 0.3, 0.16, 0.04])).tolist() == [True, True, True, False]
    assert inside_gaze(torch.tensor([0.96, 0.02, 0.02, 0.0])).tolist() == [True, False, False, False]
    assert inside_gaze(torch.tensor([0.5, 0.44, 0.03, 0.03])).tolist() == [True] * 4  # a tie for the last place
    assert inside_gaze(torch.full((7,), 1 / 7)).all()


def test_top_overlap_shares_the_last_places_among_those_that_tie() -> None:
    gaze = torch.eye(4)[0]
    assert top_overlap(torch.tensor([0.3, 0.3, 0.3, 0.1]), gaze, count=2) == pytest.approx(1 / 3)
    assert top_overlap(torch.tensor([0.1, 0.3, 0.3, 0.3]), gaze, count=2) == 0
    assert top_overlap(torch.tensor([0.4, 0.3, 0.2, 0.1]), gaze, count=10) == 0.25  # a grid of fewer patches


positive = st.lists(st.integers(1, 50), min_size=PATCHES, max_size=PATCHES).map(
    lambda values: torch.tensor(values, dtype=torch.double) / sum(values)
)
counts = st.lists(st.integers(0, 2), min_size=PATCHES, max_size=PATCHES).map(
    lambda values: torch.tensor([1.0, *values[1:-1], 0.0], dtype=torch.double)  # one fixation and one patch without
)


@QUICK
@given(positive, positive, counts, st.floats(0.1, 10))
def test_scale_changes_no_score_of_shape(a: torch.Tensor, g: torch.Tensor, f: torch.Tensor, scale: float) -> None:
    assert correlation(scale * a, g) == pytest.approx(float(correlation(a, g)), abs=1e-9)
    assert scanpath_saliency(scale * a, f) == pytest.approx(float(scanpath_saliency(a, f)), abs=1e-9)
    assert area_under_judds_curve(scale * a, f) == pytest.approx(float(area_under_judds_curve(a, f)), abs=1e-9)


@QUICK
@given(positive, positive)
def test_two_maps_are_as_alike_as_the_other_way_round(a: torch.Tensor, g: torch.Tensor) -> None:
    assert similarity(a, g) == similarity(g, a)
    assert 0 <= similarity(a, g) <= 1 + 1e-9
    assert similarity(a, a) == pytest.approx(1)
    assert correlation(a, g) == pytest.approx(float(correlation(g, a)), abs=1e-12)
    assert abs(correlation(a, g)) <= 1 + 1e-9


@QUICK
@given(positive, counts, counts)
def test_the_area_of_a_map(a: torch.Tensor, f: torch.Tensor, other: torch.Tensor) -> None:
    """Half against itself, 1 where it is the fixations, mirrored where the sides are exchanged."""
    assert area_under_curve(a, f, f) == pytest.approx(0.5)
    assert area_under_judds_curve(f, f) == 1
    assert area_under_curve(a, f, other) + area_under_curve(a, other, f) == pytest.approx(1)
    assert area_under_curve(-a, f, other) == pytest.approx(1 - float(area_under_curve(a, f, other)))
