"""Attention of all layers as a page keeps it: maps of one byte a patch, of as many heads as there is room for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gaze_vlm.attention.sources import check_heads
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid
from gaze_vlm.look.layer_attention import LayerAttention
from gaze_vlm.look.watching import Source, Watched

MEAN = 0  # index of a mean: over the answer's tokens, the layers or the heads, which follow it
LEVELS = 255
TITLES: dict[Source, str] = {"vision": "Vision tower", "block": "Gaze block", "language": "Language model"}
BASE64 = 4 / 3  # letters a byte


@dataclass(eq=False)
class SourceMaps:
    """Attention of one source: shares of every head, maps of those that are kept.

    Axes of tokens, layers and heads begin with the mean; what does not depend on the answer has that mean alone. The
    mean of layers and heads is that of their maps. A *slot* is a map that is kept: for each layer the mean of its heads
    and then `kept` heads, and behind all the mean of the layers.

    A map's probabilities are `highest` × (`levels` / 255)², so that the largest error is 0.4 % of its highest one.
    `measures` is what heads are compared by: the share of the language model's attention that goes to the frames;
    elsewhere, where nearly all goes there, the map's divergence from an even one in nats, KL(map ‖ uniform).
    """

    source: Source
    grid: Grid | None
    layers: Sequence[int]
    kept: Int[np.ndarray, "layer kept"]
    shares: Float[np.ndarray, "token layers heads frame"]
    measures: Float[np.ndarray, "token layer head"]
    highest: Float[np.ndarray, "token slot frame"]
    levels: UInt8[np.ndarray, "token slot frame patch"]
    done: set[int] = field(default_factory=set)

    @property
    def heads(self) -> int:
        """Heads of a layer, kept or not."""
        return self.measures.shape[2]

    def slot(self, layer: int, head: int) -> int | None:
        """Return where a map lies; None where it was left out.

        Args:
            layer: its place among the layers, from 1; 0 is their mean.
            head: number of the head plus 1; 0 is their mean.
        """
        own = self.kept.shape[1] + 1
        if layer == MEAN:
            return len(self.layers) * own if head == MEAN else None
        if head == MEAN:
            return (layer - 1) * own
        found = np.flatnonzero(self.kept[layer - 1] == head - 1)
        return (layer - 1) * own + 1 + int(found[0]) if len(found) else None

    def maps(self, token: int, layer: int, head: int) -> Float[np.ndarray, "frame patch"]:
        """Return the distributions within the frames; see `slot` for the arguments.

        Raises:
            KeyError: the head's maps were left out.
        """
        slot = self.slot(layer, head)
        if slot is None:
            raise KeyError(f"no maps of layer {layer}, head {head}")
        return self.highest[token, slot, :, None] * (self.levels[token, slot] / np.float32(LEVELS)) ** 2

    def see(self, number: int, attention: LayerAttention, heads: Sequence[int] | None) -> None:
        """Take the attention of a layer; `heads` are kept, or else those that measure most."""
        place = self.layers.index(number)
        with_mean = _with_mean(attention, len(self.shares) > 1)
        measures = with_mean.shares.sum(2) if self.source == "language" else _divergence(with_mean.maps).mean(2)
        self.measures[:, place] = measures.numpy()
        self.shares[:, place + 1] = torch.cat([with_mean.shares.mean(1, keepdim=True), with_mean.shares], 1).numpy()
        self.shares[:, MEAN, MEAN] += self.shares[:, place + 1, MEAN] / len(self.layers)
        own = self.kept.shape[1]
        best = measures[MEAN].argsort(descending=True, stable=True)[:own] if heads is None else torch.tensor(heads)
        self.kept[place] = best.sort().values.numpy()
        mean = with_mean.maps.mean(1, keepdim=True)
        first = place * (own + 1)
        self._keep(slice(first, first + own + 1), torch.cat([mean, with_mean.maps[:, self.kept[place]]], 1))
        self._mean_of_layers += mean / len(self.layers)
        self.done.add(number)
        if len(self.done) == len(self.layers):
            self._keep(slice(-1, None), self._mean_of_layers)

    def __post_init__(self) -> None:
        tokens, _, frames, patches = self.levels.shape
        self._mean_of_layers = torch.zeros(tokens, 1, frames, patches)

    def _keep(self, slots: slice, maps: Float[Tensor, "token slot frame patch"]) -> None:
        if self.grid is None:
            return
        highest = maps.amax(-1)
        self.highest[:, slots] = highest.numpy()
        self.levels[:, slots] = (maps / highest[..., None]).sqrt().mul(LEVELS).round().byte().numpy()


class MapKeeper:
    """Keeps what a pass hands on, within a number of bytes.

    Each source has an equal part of what those before it left. Where it has no room for every head, those of a layer
    that measure most are kept; where it has none for the means of heads, it is refused.

    Args:
        watched: the layers that will be seen.
        tokens: of the answer.
        most_bytes: of maps, as a page writes them.
        heads: heads to keep of every layer, in place of those that measure most.
    """

    def __init__(
        self, watched: Mapping[Source, Watched], tokens: int, most_bytes: int, heads: Sequence[int] | None = None
    ) -> None:
        self.watched, self.tokens, self.bytes_left, self.heads = watched, tokens, most_bytes, heads
        self.of: dict[Source, SourceMaps] = {}

    def see(self, source: Source, number: int, attention: LayerAttention) -> None:
        """Take the attention of a layer.

        Raises:
            InputError: there is no room for it, or it lacks a head that is to be kept.
        """
        if source not in self.of:
            self.of[source] = self._make(source, attention)
        self.of[source].see(number, attention, self.heads)

    def _make(self, source: Source, attention: LayerAttention) -> SourceMaps:
        layers, (_, heads, frames, patches) = [*self.watched[source].modules], attention.maps.shape
        tokens = self.tokens + 1 if source == "language" else 1
        check_heads(self.heads or (), heads, f"{TITLES[source].lower()} has {heads}")
        slot_bytes = BASE64 * tokens * frames * (patches + 4)
        room = self.bytes_left / (len(self.watched) - len(self.of))
        fitting = int((room / slot_bytes - 1) // len(layers) - 1)
        wanted = heads if self.heads is None else len(self.heads)
        if fitting < 0 or (self.heads is not None and fitting < wanted):
            needed = slot_bytes * (len(layers) * (1 + (0 if self.heads is None else wanted)) + 1)
            raise InputError(
                f"the maps of the {TITLES[source].lower()}, {_counted(tokens, 'answer token')} × "
                f"{_counted(len(layers), 'layer')} × {_counted(frames, 'frame')} of {_counted(patches, 'patch', 'es')}"
                f", take {math.ceil(needed / 1e5) / 10:.1f} MB and have {room / 1e6:.1f}: raise maps_mb, choose "
                "sources and layers, or give fewer frames or a shorter answer"
            )
        kept = min(fitting, wanted)
        slots = len(layers) * (kept + 1) + 1
        self.bytes_left -= int(slots * slot_bytes)
        return SourceMaps(
            source=source,
            grid=self.watched[source].grid,
            layers=layers,
            kept=np.zeros((len(layers), kept), np.int64),
            shares=np.zeros((tokens, len(layers) + 1, heads + 1, frames), np.float32),
            measures=np.zeros((tokens, len(layers), heads), np.float32),
            highest=np.zeros((tokens, slots, frames), np.float32),
            levels=np.zeros((tokens, slots, frames, patches), np.uint8),
        )


def _counted(count: int, word: str, plural: str = "s") -> str:
    return f"{count} {word}{'' if count == 1 else plural}"


def _with_mean(attention: LayerAttention, of_tokens: bool) -> LayerAttention:
    """Attention with the mean over the answer's tokens before theirs; alone where there is one."""
    if not of_tokens:
        return attention
    shares, maps = (torch.cat([one.mean(0, keepdim=True), one]) for one in (attention.shares, attention.maps))
    return LayerAttention(shares, maps)


def _divergence(maps: Float[Tensor, "*any patch"]) -> Float[Tensor, "*any"]:
    """KL(map ‖ uniform), in nats."""
    return torch.special.xlogy(maps, maps * maps.shape[-1]).sum(-1)
