import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from gaze_vlm.attention import GazeRegularizer, PatchAttention, gaze_divergence, kl_divergence
from gaze_vlm.attention.regularizer import Direction
from gaze_vlm.gaze.view import Grid

GRID = Grid(4, 4)


def distributions(seed: int, *shape: int) -> torch.Tensor:
    return exact_distributions(seed, *shape).float().clamp_min(1e-20)


def exact_distributions(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(16, 0.3), shape))


def floored(gaze: torch.Tensor, floor: float) -> np.ndarray:
    return ((1 - floor) * gaze + floor / 16).numpy()


@pytest.mark.parametrize("floor", [1e-8, 1e-3, 1e-2])
def test_equals_scipy(floor: float) -> None:
    attention, gaze = exact_distributions(0, 50), exact_distributions(1, 50)
    a, h = attention.numpy(), floored(gaze, floor)
    cases = {
        "attention_to_gaze": entropy(a, h, axis=-1),
        "gaze_to_attention": entropy(h, a, axis=-1),
        "js": jensenshannon(a, h, axis=-1) ** 2,
    }
    for direction, expected in cases.items():
        exact = gaze_divergence(attention.log(), gaze, direction, floor)  # type: ignore[arg-type]
        assert np.allclose(exact.numpy(), expected, rtol=1e-9, atol=1e-12), direction
        single = gaze_divergence(attention.float().log(), gaze.float(), direction, floor)  # type: ignore[arg-type]
        assert np.allclose(single.numpy(), expected, rtol=1e-3, atol=1e-5), direction


def test_is_zero_when_equal_and_finite_with_zeros() -> None:
    gaze = distributions(2, 5)
    assert kl_divergence(gaze.log(), gaze.log()).abs().max() < 1e-6
    peak = torch.eye(16)[:5]
    for direction in ("attention_to_gaze", "gaze_to_attention", "js"):
        assert gaze_divergence(peak.log(), peak.flip(-1), direction, 0.0).isfinite().all()  # type: ignore[arg-type]


@pytest.mark.parametrize("direction", ["attention_to_gaze", "gaze_to_attention", "js"])
def test_gradient(direction: Direction) -> None:
    gaze = exact_distributions(3, 2)
    scores = torch.randn(2, 16, dtype=torch.double, requires_grad=True)

    def divergence(scores: torch.Tensor) -> torch.Tensor:
        return gaze_divergence(scores.log_softmax(-1), gaze, direction)

    assert torch.autograd.gradcheck(divergence, (scores,))


def test_invalid_frames_weigh_nothing() -> None:
    scores = torch.randn(2, 3, 4, 16, requires_grad=True)
    attention = PatchAttention(scores.log_softmax(-1), GRID)
    gaze = distributions(4, 2, 3)
    gaze[0, 1] = 0
    valid = torch.tensor([[True, False, True], [False, False, False]])
    frames, count = GazeRegularizer()(attention, gaze, valid)
    frames.sum().backward()
    assert count == 2
    assert frames[~valid].eq(0).all()
    assert scores.grad is not None
    assert scores.grad[~valid].eq(0).all()
    assert scores.grad[valid].ne(0).any()


def test_no_valid_frame_is_exactly_zero() -> None:
    scores = torch.randn(2, 3, 4, 16, requires_grad=True)
    frames, count = GazeRegularizer()(
        PatchAttention(scores.log_softmax(-1), GRID), torch.zeros(2, 3, 16), torch.zeros(2, 3, dtype=torch.bool)
    )
    frames.sum().backward()
    assert count == 0
    assert frames.sum() == 0
    assert scores.grad is not None
    assert scores.grad.eq(0).all()


@pytest.mark.parametrize("per_head", [False, True])
@pytest.mark.parametrize("direction", ["attention_to_gaze", "gaze_to_attention", "js"])
def test_what_an_invalid_frame_holds_never_reaches_the_gradient(direction: Direction, per_head: bool) -> None:
    """NaN in both, and an attention of exactly 0 in all heads, which has the logarithm −∞."""
    log_probs = torch.randn(2, 3, 4, 16).log_softmax(-1)
    log_probs[0, 1] = float("nan")
    log_probs[1, :, :, 3] = float("-inf")
    log_probs.requires_grad = True
    gaze = distributions(4, 2, 3)
    gaze[0, 1] = float("nan")
    gaze[1, 2] = 0
    valid = torch.tensor([[True, False, True], [True, True, False]])
    frames, _ = GazeRegularizer(direction=direction, per_head=per_head)(PatchAttention(log_probs, GRID), gaze, valid)
    frames.sum().backward()
    assert frames.isfinite().all()
    assert log_probs.grad is not None
    assert log_probs.grad.isfinite().all()
    assert log_probs.grad[~valid].eq(0).all()
    assert log_probs.grad[valid].ne(0).any()


def test_per_head_pulls_each_head() -> None:
    gaze = distributions(5, 1, 1)
    heads = torch.stack([gaze, distributions(6, 1, 1)], dim=2).log()
    attention = PatchAttention(heads, GRID)
    valid = torch.ones(1, 1, dtype=torch.bool)
    mean, _ = GazeRegularizer(floor=0.0)(attention, gaze, valid)
    each, _ = GazeRegularizer(floor=0.0, per_head=True)(attention, gaze, valid)
    expected = entropy(heads[0, 0, 1].exp(), gaze[0, 0]) / 2  # the first head is there already
    assert each.item() == pytest.approx(expected, rel=1e-3)
    assert mean.item() < each.item()


def test_schedules() -> None:
    warming = GazeRegularizer(2.0, schedule="warmup", warmup_steps=4)
    assert [float(warming.weight_at(step)) for step in (0, 1, 3, 9)] == [0.5, 1.0, 2.0, 2.0]
    calibrated = GazeRegularizer(1.0, schedule="calibrated", target_ratio=1.0)
    for _ in range(30):  # the ratio is proportional to the weight
        calibrated.calibrate(calibrated.weight * 0.1)
    assert float(calibrated.weight) == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": -1.0}, r"weight .* is -1.0: it must be 0 or more"),
        ({"weight": float("nan")}, "nan"),
        ({"floor": 1.0}, r"floor .* is 1.0"),
        ({"schedule": "warmup"}, "warmup_steps 0"),
        ({"schedule": "calibrated", "weight": 0.0}, "must be above 0"),
    ],
)
def test_impossible_choices_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GazeRegularizer(**arguments)


def test_another_grid_is_refused() -> None:
    attention = PatchAttention(torch.randn(1, 1, 2, 16).log_softmax(-1), GRID)
    with pytest.raises(ValueError, match="4×4 = 16 patches, gaze on 9"):
        GazeRegularizer()(attention, torch.full((1, 1, 9), 1 / 9), torch.ones(1, 1, dtype=torch.bool))
