"""A forward pass with an answer, whose attention is handed on layer by layer: queries and keys are not kept."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze_vlm.attention.capture import AttentionCapture, Captured, use_capturing_attention
from gaze_vlm.attention.sources import NO_PLACEHOLDER, Layers, choose_layers
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.gaze.view import Grid
from gaze_vlm.inference.clips import on_device_of
from gaze_vlm.look.layer_attention import LayerAttention, token_attention, tower_attention

Source = Literal["vision", "block", "language"]
SOURCES: tuple[Source, ...] = get_args(Source)
See = Callable[[Source, int, LayerAttention], None]


@dataclass(frozen=True)
class AskedClip:
    """A clip that was asked about, and the answer, token by token. `prompt_ids` hold the visual tokens."""

    batch: Batch
    prompt_ids: Int[Tensor, " read"]
    answer_ids: Int[Tensor, " token"]


@dataclass(frozen=True)
class Watched:
    """Layers of a source of attention: the modules by number, and the grid of a frame's patches.

    The grid is None where the source reads no patch: it reads what the gaze block makes of them.
    """

    modules: dict[int, nn.Module]
    grid: Grid | None


@torch.no_grad()
def ask(backbone: Backbone, clip: Clip, answer: str | None = None) -> AskedClip:
    """Ask about a clip.

    Args:
        backbone: loaded, in eval mode.
        clip: frames and the question.
        answer: what is answered; None is what the model answers greedily.

    Raises:
        InputError: frames that the model cannot take, or a text that holds a special token.
    """
    collator = backbone.collator()
    collator.check_asked(clip.prompt, "the prompt")
    collator.check_asked(answer or "", "the answer")
    batch = on_device_of(backbone, collator([clip]))
    prompts = batch.prompts
    prompt_ids = prompts["input_ids"]
    if answer is not None:
        answer_ids = prompt_ids.new_tensor(collator.tokenize(clip.prompt, answer, clip.frame_times_s)[1])
    else:
        with backbone.reading(batch) as visual:
            answer_ids = backbone.answer_ids(backbone.prepare({**prompts, **visual}))[0][0]
    return AskedClip(batch, prompt_ids[0], answer_ids)


def watched_layers(backbone: Backbone, source: Source, layers: Layers = "all") -> Watched | None:
    """Return the layers of a source; None where the model has no such source.

    Raises:
        InputError: a layer that it does not have.
    """
    layout = backbone.layout
    if source == "vision":
        modules, grid = backbone.vit_attention_modules(), layout.vit
    elif source == "language":
        modules, grid = backbone.language_attention_modules(), layout.language
    elif backbone.block is not None:
        modules, grid = dict(enumerate(backbone.block.attentions)), layout.language
    else:
        return None
    reads_patches = source != "language" or backbone.tokens_per_frame >= len(grid)
    return Watched(choose_layers(modules, layers, f"{source} layer"), grid if reads_patches else None)


@torch.no_grad()
def watch(backbone: Backbone, asked: AskedClip, watched: Mapping[Source, Watched], see: See) -> Float[Tensor, " token"]:
    """Read the prompt and the answer, and hand the attention of each layer to `see` as soon as it is there.

    The model stays on its fast attention, and needs little more memory than the pass itself: probabilities are
    computed of the rows that are looked at, a layer at a time.

    Args:
        backbone: loaded, in eval mode.
        asked: what it reads.
        watched: the layers to watch.
        see: is given the source, the number of the layer and its attention, on the CPU.

    Returns:
        The probability that the model gave each token of the answer.
    """
    answer_ids, tokens = asked.answer_ids, len(asked.answer_ids)
    input_ids = torch.cat([asked.prompt_ids, answer_ids])[None]
    with ExitStack() as watching:
        for source, layers in watched.items():
            seen = partial(see, source)
            if source == "block":
                watching.enter_context(_block(layers, asked, seen))
            elif source == "vision":
                watching.enter_context(_vision(backbone, layers, asked, seen))
            else:
                watching.enter_context(_language(backbone, layers, asked, input_ids[0], seen))
        visual = watching.enter_context(backbone.reading(asked.batch))
        inputs = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids), **visual}
        prepared = backbone.prepare(inputs)
        logits = backbone.generative_model(**prepared, logits_to_keep=tokens + 1, use_cache=False).logits
    return logits[0, -1 - tokens : -1].float().softmax(-1).gather(1, answer_ids[:, None])[:, 0].cpu()


class _FrameParts:
    """Joins the attention of a layer that attends to the frames in several calls."""

    def __init__(self, frames: int, see: Callable[[LayerAttention], None]) -> None:
        self.frames, self.see = frames, see
        self.parts: list[LayerAttention] = []

    def add(self, part: LayerAttention) -> None:
        """Add the next frames; hand all on when the last is there."""
        self.parts.append(LayerAttention(part.shares.cpu(), part.maps.cpu()))
        if sum(one.shares.shape[2] for one in self.parts) == self.frames:
            shares, maps = ([getattr(one, name) for one in self.parts] for name in ("shares", "maps"))
            self.parts = []
            self.see(LayerAttention(torch.cat(shares, 2), torch.cat(maps, 2)))


@contextmanager
def _vision(
    backbone: Backbone, watched: Watched, asked: AskedClip, see: Callable[[int, LayerAttention], None]
) -> Iterator[None]:
    reduce = partial(
        tower_attention,
        class_token=backbone.has_class_token,
        prefix=backbone.prefix_tokens,
        positions=backbone.patch_positions,
    )

    def take(frames: _FrameParts, captured: Captured) -> None:
        frames.add(reduce(*captured))

    groups = asked.batch.valid.shape[1]
    parts = [_FrameParts(groups, partial(see, number)) for number in watched.modules]
    with backbone.vision_capture([*watched.modules.values()]).capturing([partial(take, one) for one in parts]):
        yield


@contextmanager
def _language(
    backbone: Backbone,
    watched: Watched,
    asked: AskedClip,
    input_ids: Int[Tensor, " token"],
    see: Callable[[int, LayerAttention], None],
) -> Iterator[None]:
    frames, of_frame = asked.batch.valid.shape[1], backbone.tokens_per_frame
    causal = backbone.visual_token != NO_PLACEHOLDER  # else the keys are the visual tokens alone
    count = frames * of_frame
    visual = (input_ids == backbone.visual_token).nonzero()[:count, 0] if causal else torch.arange(count)
    patches = of_frame if watched.grid is None else len(watched.grid)
    visual = visual.to(input_ids.device).unflatten(0, (frames, of_frame))[:, :patches]
    asking = torch.arange(len(asked.prompt_ids) - 1, len(input_ids) - 1, device=input_ids.device)

    def take(number: int, module: nn.Module, captured: Captured) -> None:
        query, key, scaling = captured
        window = getattr(module, "sliding_window", getattr(module.config, "sliding_window", None))
        found = token_attention(query[0], key[0], scaling, asking, visual, causal, window)
        maps = found.maps if watched.grid is not None else found.maps[..., :0]
        see(number, LayerAttention(found.shares.cpu(), maps.cpu()))

    use_capturing_attention(backbone.parts()["language"][0])
    sinks = [partial(take, number, module) for number, module in watched.modules.items()]
    with AttentionCapture([*watched.modules.values()]).capturing(sinks):
        yield


@contextmanager
def _block(watched: Watched, asked: AskedClip, see: Callable[[int, LayerAttention], None]) -> Iterator[None]:
    def take(parts: _FrameParts, _module: nn.Module, _inputs: Any, output: tuple[Tensor, Tensor]) -> None:
        maps = output[1].exp().flatten(0, 1).transpose(0, 1)[None]  # [clip, frame, head, patch] → [1, head, frame, …]
        parts.add(LayerAttention(torch.ones(maps.shape[:3]), maps))

    with ExitStack() as hooks:
        for number, module in watched.modules.items():
            parts = _FrameParts(asked.batch.valid.shape[1], partial(see, number))
            hooks.enter_context(module.register_forward_hook(partial(take, parts)))
        yield
