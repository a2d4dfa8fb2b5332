import pytest
import torch

from gaze_vlm.attention import GazeRegularizer, NextGazeRegularizer, PatchAttention
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid

GRID = Grid(2, 2)


def attention(*frames: list[int]) -> PatchAttention:
    """One clip whose heads each look at one patch: `frames[t][head]`."""
    probabilities = torch.full((1, len(frames), len(frames[0]), 4), 0.01)
    for t, patches in enumerate(frames):
        for head, patch in enumerate(patches):
            probabilities[0, t, head, patch] = 0.97
    return PatchAttention(probabilities.log(), GRID)


def looking_at(*patches: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([patches]), 4).float()


def test_the_last_heads_are_pulled_toward_the_next_frames_gaze() -> None:
    gaze, valid = looking_at(0, 1, 2), torch.ones(1, 3, dtype=torch.bool)
    regularizer = NextGazeRegularizer(next_heads=1)
    foreseen, count = regularizer(attention([0, 1], [1, 2], [2, 0]), gaze, valid)
    behind, _ = regularizer(attention([0, 0], [1, 1], [2, 2]), gaze, valid)
    own, _ = GazeRegularizer()(attention([0], [1], [2]), gaze, valid)
    assert count == 3
    assert behind[0, 0] > 2 + foreseen[0, 0]
    assert behind[0, 1] > 2 + foreseen[0, 1]
    assert behind[0, 2] == foreseen[0, 2] == own[0, 2], "the last frame has no next one"
    assert foreseen[0, :2].tolist() == pytest.approx((2 * own[0, :2]).tolist())


def test_a_frame_without_gaze_is_no_target() -> None:
    gaze, valid = looking_at(0, 1, 2), torch.tensor([[True, False, True]])
    gaze[0, 1] = torch.nan
    log_probs = attention([0, 1], [1, 0], [2, 0]).log_probs.requires_grad_()
    frames, count = NextGazeRegularizer(next_heads=1)(PatchAttention(log_probs, GRID), gaze, valid)
    frames.sum().backward()
    assert count == 2
    assert log_probs.grad is not None
    pulled = log_probs.grad[0].ne(0).any(-1)  # by frame and head
    assert pulled.tolist() == [[True, False], [False, True], [True, False]]


def test_a_clip_of_one_frame_has_no_next_gaze() -> None:
    frames, _ = NextGazeRegularizer(next_heads=1)(attention([0, 1]), looking_at(0), torch.ones(1, 1, dtype=torch.bool))
    own, _ = GazeRegularizer()(attention([0]), looking_at(0), torch.ones(1, 1, dtype=torch.bool))
    assert frames.tolist() == own.tolist()


def test_a_head_is_left_for_a_frames_own_gaze() -> None:
    with pytest.raises(InputError, match="next_heads is 2 of 2 heads"):
        NextGazeRegularizer(next_heads=2)(attention([0, 1]), looking_at(0), torch.ones(1, 1, dtype=torch.bool))
