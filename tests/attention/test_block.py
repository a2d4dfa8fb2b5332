from typing import get_args

import pytest
import torch

from gaze_vlm.attention import GazeBlock
from gaze_vlm.attention.block import BlockOutput


def test_size_of_the_papers_block() -> None:
    assert sum(parameter.numel() for parameter in GazeBlock(1024).parameters()) == 22_038_528


@pytest.mark.parametrize(
    ("output", "tokens"),
    [
        ("pool", 1),
        ("mean", 1),
        ("both", 2),
        ("append", 10),
        ("append_mean", 10),
        ("append_both", 11),
        ("modulate", 9),
    ],
)
def test_outputs(output: BlockOutput, tokens: int) -> None:
    block = GazeBlock(32, heads=4, head_width=8, output=output)
    made, log_probs = block(torch.randn(2, 3, 9, 32))
    assert made.shape == (2, 3, tokens, 32)
    assert block.tokens_per_frame(9) == tokens
    assert log_probs.shape == (2, 3, 4, 9)
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(2, 3, 4), atol=1e-6)


@pytest.mark.parametrize("output", ["append", "append_mean", "append_both", "modulate"])
def test_patch_tokens_start_as_they_were(output: BlockOutput) -> None:
    tokens = torch.randn(2, 3, 9, 32)
    made, _ = GazeBlock(32, 4, 8, output=output)(tokens)
    assert torch.equal(made[:, :, :9], tokens)


@pytest.mark.parametrize(("output", "position"), [("mean", 0), ("both", 0), ("append_mean", 9), ("append_both", 9)])
def test_mean_starts_as_the_mean_weighted_by_attention(output: BlockOutput, position: int) -> None:
    tokens = torch.randn(2, 3, 9, 32)
    made, log_probs = GazeBlock(32, 4, 8, output=output)(tokens)
    weights = log_probs.exp().mean(2)[..., None]
    assert torch.allclose(made[:, :, position], (weights * tokens).sum(2), atol=1e-6)


@pytest.mark.parametrize("output", get_args(BlockOutput))
def test_every_parameter_learns(output: BlockOutput) -> None:
    block = GazeBlock(32, 4, 8, output=output)
    for gate in (getattr(block, name, None) for name in ("scale", "shift")):
        if gate is not None:  # at zero it hides what is behind it
            torch.nn.init.normal_(gate)
    block(torch.randn(2, 3, 9, 32))[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.ne(0).any() for p in block.parameters())


def test_a_global_query_sees_all_frames_and_a_frame_query_its_own() -> None:
    tokens = torch.randn(1, 3, 9, 32)
    changed = tokens.clone()
    changed[:, 2] = torch.randn(1, 9, 32)
    for query, same in (("global", False), ("frame", True)):
        block = GazeBlock(32, 4, 8, query=query)  # type: ignore[arg-type]
        before, after = block(tokens)[1][:, 0], block(changed)[1][:, 0]
        assert torch.allclose(before, after, atol=1e-6) is same


@pytest.mark.parametrize("output", get_args(BlockOutput))
def test_autocast_leaves_the_attention_in_32_bits(output: BlockOutput) -> None:
    """In bf16 the log-probabilities of this sharp attention are off by 0.06."""
    torch.manual_seed(0)
    block = GazeBlock(64, 4, 64, output=output)
    with torch.no_grad():
        for attention in block.attentions:
            attention.to_query.weight.mul_(8)
    tokens = torch.randn(2, 3, 64, 64).bfloat16()
    made, log_probs = block(tokens.float())
    with torch.autocast("cpu", torch.bfloat16):
        half, half_log_probs = block(tokens)
    assert half.dtype == torch.bfloat16
    assert half_log_probs.dtype == torch.float32
    assert torch.allclose(half_log_probs, log_probs, atol=1e-5)
    assert torch.allclose(half.float(), made, rtol=2**-7)
