"""The released code's divergence: its formula, and how much smaller than a KL's its gradient is."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from gaze_vlm.attention import GazeRegularizer, PatchAttention, ReleasedCodeRegularizer
from gaze_vlm.attention.released_code import released_code_divergence
from gaze_vlm.gaze.view import Grid

GRID = Grid(8, 8)


def test_equals_the_formula() -> None:
    attention, gaze = np.random.default_rng(0).dirichlet(np.full(64, 0.2), (2, 30))
    s, t = softmax(attention, axis=-1), softmax(gaze, axis=-1)
    expected = (np.exp(t) * (t - s)).sum(-1)
    mine = released_code_divergence(torch.from_numpy(attention).log(), torch.from_numpy(gaze))
    assert np.allclose(mine.numpy(), expected, atol=1e-6)  # all but cancels in fp32


def test_a_negative_value_counts_as_0() -> None:
    attention, gaze = torch.tensor([0.97, 0.01, 0.01, 0.01]), torch.tensor([0.4, 0.2, 0.2, 0.2])
    s, t = attention.softmax(-1), gaze.softmax(-1)
    assert (t.exp() * (t - s)).sum() < 0
    assert released_code_divergence(attention.log(), gaze) == 0


def gradient(regularizer: GazeRegularizer, scores: torch.Tensor) -> float:
    scores = scores.clone().requires_grad_()
    gaze = torch.zeros(1, 1, 64)
    gaze[..., 20] = 1
    frames, _ = regularizer(PatchAttention(scores.log_softmax(-1), GRID), gaze, torch.ones(1, 1, dtype=torch.bool))
    (made,) = torch.autograd.grad(frames.sum(), scores)
    return float(made.norm())


@pytest.mark.parametrize(("looks_away", "times"), [(0.0, 100.0), (5.0, 1e4)])
def test_its_gradient_is_many_times_smaller_than_that_of_a_kl(looks_away: float, times: float) -> None:
    scores = torch.zeros(1, 1, 1, 64)
    scores[..., 40] = looks_away
    assert gradient(GazeRegularizer(), scores) > times * gradient(ReleasedCodeRegularizer(1.0), scores)
