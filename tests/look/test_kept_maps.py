"""What a page keeps of attention: how exact, which heads, how many bytes."""

import numpy as np
import pytest
import torch
from torch import nn

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid
from gaze_vlm.look.kept_maps import BASE64, LEVELS, MEAN, MapKeeper, SourceMaps
from gaze_vlm.look.layer_attention import LayerAttention
from gaze_vlm.look.watching import Source, Watched

TOKENS, LAYERS, HEADS, FRAMES, GRID = 3, 2, 5, 4, Grid(3, 6)


def attention(number: int, tokens: int = TOKENS) -> LayerAttention:
    """Peaked at random, with shares that sum to less than 1."""
    draw = torch.Generator().manual_seed(number)
    maps = (4 * torch.randn(tokens, HEADS, FRAMES, len(GRID), generator=draw)).softmax(-1)
    return LayerAttention(torch.rand(tokens, HEADS, FRAMES, generator=draw) / FRAMES, maps)


def kept(source: Source, most_bytes: int, heads: list[int] | None = None) -> SourceMaps:
    watched = Watched({3: nn.Identity(), 7: nn.Identity()}, GRID)
    keeper = MapKeeper({source: watched}, TOKENS, most_bytes, heads)
    for number in watched.modules:
        keeper.see(source, number, attention(number, TOKENS if source == "language" else 1))
    return keeper.of[source]


def test_maps_and_their_means_are_within_half_a_percent_of_the_highest() -> None:
    maps, given = kept("language", 10**6), [attention(3), attention(7)]
    assert maps.kept.tolist() == [[0, 1, 2, 3, 4]] * 2
    whole = torch.stack([one.maps for one in given])  # [layer, token, head, frame, patch]
    for token in range(TOKENS + 1):
        of_token = whole.mean(1) if token == MEAN else whole[:, token - 1]
        cases = [(MEAN, MEAN, of_token.mean((0, 1)))]
        cases += [(layer + 1, MEAN, of_token[layer].mean(0)) for layer in range(LAYERS)]
        cases += [(layer + 1, head + 1, of_token[layer, head]) for layer in range(LAYERS) for head in range(HEADS)]
        for layer, head, expected in cases:
            made = maps.maps(token, layer, head)
            error = np.abs(made - expected.numpy()) / expected.numpy().max(-1, keepdims=True)
            assert error.max() <= 1 / LEVELS, (token, layer, head)
    shares = torch.stack([one.shares for one in given])
    assert np.allclose(maps.shares[1:, 1:, 1:], shares.transpose(0, 1), atol=1e-7)
    assert np.allclose(maps.shares[MEAN, MEAN, MEAN], shares.mean((0, 1, 2)), atol=1e-7)
    assert np.allclose(maps.shares[2, 1, MEAN], shares[0, 1].mean(0), atol=1e-7)


@pytest.mark.parametrize("source", ["language", "vision"])
def test_where_room_is_short_the_heads_that_measure_most_are_kept(source: Source) -> None:
    tokens = TOKENS + 1 if source == "language" else 1
    slot_bytes = BASE64 * tokens * FRAMES * (len(GRID) + 4)
    most = int(slot_bytes * (LAYERS * 3 + 1.5))  # a mean and two heads a layer, the mean of layers, and half a map
    maps = kept(source, most)
    assert BASE64 * (maps.levels.nbytes + maps.highest.nbytes) <= most
    for place, number in enumerate((3, 7)):
        one = attention(number, TOKENS if source == "language" else 1)
        if source == "language":
            measured = one.shares.mean(0).sum(-1)
        else:
            measured = (one.maps * (one.maps * len(GRID)).log()).sum(-1).mean((0, 2))
        assert np.allclose(maps.measures[MEAN, place], measured, atol=1e-5)
        best = sorted(measured.argsort(descending=True)[:2].tolist())
        assert maps.kept[place].tolist() == best
        left_out = next(head for head in range(HEADS) if head not in best)
        assert maps.slot(place + 1, left_out + 1) is None
        with pytest.raises(KeyError, match=f"head {left_out + 1}"):
            maps.maps(MEAN, place + 1, left_out + 1)
        assert np.allclose(maps.maps(MEAN, place + 1, best[1] + 1), one.maps.mean(0)[best[1]], atol=4e-3)


def test_named_heads_are_kept_or_refused() -> None:
    assert kept("language", 10**6, [4, 1]).kept.tolist() == [[1, 4]] * 2
    with pytest.raises(InputError, match=r"heads \[5\]: the language model has 5"):
        kept("language", 10**6, [5])
    with pytest.raises(InputError, match="raise maps_mb"):
        kept("language", 4000, [1, 2, 3])


def test_without_room_for_the_means_nothing_is_kept() -> None:
    with pytest.raises(InputError, match=r"2 layers.*raise maps_mb"):
        kept("language", 1000)
