"""Shares and maps of a layer, against attention that is written out."""

import pytest
import torch
from torch import Tensor

from gaze_vlm.look.layer_attention import token_attention, tower_attention


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("window", [None, 12, 1])
def test_a_token_attends_to_what_its_mask_leaves(window: int | None) -> None:
    query, key, scaling = draw(4, 20, 8), draw(2, 20, 8), 0.7
    asking, visual = torch.tensor([16, 18]), torch.arange(4, 16).reshape(3, 4)
    made = token_attention(query, key, scaling, asking, visual, window=window)
    for token, row in enumerate(asking.tolist()):
        first = 0 if window is None else row - window + 1
        for head in range(4):
            scores = key[head // 2] @ query[head, row] * scaling
            weights = torch.zeros(20)
            weights[first : row + 1] = scores[first : row + 1].softmax(0)
            frames = weights[visual]
            assert torch.allclose(made.shares[token, head], frames.sum(1), atol=1e-6)
            seen = frames.sum(1) > 0
            expected = frames[seen] / frames[seen].sum(1, keepdim=True)
            assert torch.allclose(made.maps[token, head][seen], expected, atol=1e-6)
            assert torch.allclose(made.maps[token, head][~seen], torch.tensor(0.25))  # hidden by the window


def test_a_frame_without_attention_is_even() -> None:
    """Its probability is below the smallest number."""
    query = torch.tensor([[[100.0], [100.0], [100.0], [100.0]]])
    key = torch.tensor([[[-100.0], [-100.0], [100.0], [100.0]]])
    made = token_attention(query, key, 1.0, torch.tensor([3]), torch.tensor([[0, 1]]))
    assert made.shares.item() == 0
    assert made.maps.flatten().tolist() == pytest.approx([0.5, 0.5], abs=1e-3)


def test_a_tower_looks_with_its_class_token_or_with_all_patches() -> None:
    query, key = draw(2, 3, 7, 4), draw(2, 3, 7, 4)
    weights = (query @ key.transpose(2, 3) * 0.5).softmax(-1)
    of_class = tower_attention(query, key, 0.5, class_token=True, prefix=2)
    patches = weights[:, :, 0, 2:].transpose(0, 1)  # [head, frame, patch]
    assert torch.allclose(of_class.shares[0], patches.sum(-1), atol=1e-6)
    assert torch.allclose(of_class.maps[0], patches / patches.sum(-1, keepdim=True), atol=1e-6)
    order = [4, 3, 2, 1, 0]
    of_patches = tower_attention(query, key, 0.5, class_token=False, prefix=2, positions=order)
    rows = weights[:, :, 2:, 2:].transpose(0, 1)
    assert torch.allclose(of_patches.shares[0], rows.sum(-1).mean(-1), atol=1e-6)
    expected = (rows / rows.sum(-1, keepdim=True)).mean(2)[..., order]
    assert torch.allclose(of_patches.maps[0], expected, atol=1e-6)
