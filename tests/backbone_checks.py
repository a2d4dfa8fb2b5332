"""Measurements that the contract bounds and `benchmarks/attention.py` reports: captured attention against the library's
eager one, and where a bright square is seen."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, TimmWrapperModel
from transformers.masking_utils import eager_mask

from backbone_families import Family, asked, collate, make_backbone, make_batch, make_clip, randomize_lora
from gaze_vlm.attention.sources import NO_PLACEHOLDER
from gaze_vlm.backbones import Backbone, Lora
from gaze_vlm.datamodules.clip import IGNORED, Batch, Clip
from gaze_vlm.gaze.mixture import GazeMixture

EAGER, SILENT = "recording_eager", "silent"
recorded: dict[nn.Module, list[Tensor]] = {}


def recording_eager(module: nn.Module, *args, **kwargs):  # type: ignore[no-untyped-def]
    """The library's own eager attention of this model; its weights are kept."""
    output, weights = sys.modules[type(module).__module__].eager_attention_forward(module, *args, **kwargs)
    recorded.setdefault(module, []).append(weights)
    return output, weights


def silent(module: nn.Module, query: Tensor, *args, **kwargs):  # type: ignore[no-untyped-def]
    """No attention: what a patch becomes hangs on that patch alone."""
    return torch.zeros_like(query.transpose(1, 2)), None


AttentionInterface.register(EAGER, recording_eager)
AttentionMaskInterface.register(EAGER, eager_mask)  # without it the library drops the mask silently
AttentionInterface.register(SILENT, silent)


def set_attention(backbone: Backbone, name: str) -> None:
    """Run the vision tower with another attention."""
    (tower,) = backbone.parts()["vision"]
    if isinstance(tower, TimmWrapperModel):  # timm has no names for its attentions
        for module in backbone.vit_attention_modules().values():
            set_timm_attention(module, name)
    else:
        tower.set_attn_implementation(name)  # type: ignore[operator]


def set_timm_attention(module: Any, name: str) -> None:
    """timm's own unfused attention, whose weights go through a dropout, or none."""
    if name == SILENT:
        module.forward = lambda tokens, **_: torch.zeros_like(tokens)
    else:
        module.fused_attn = False
        module.attn_drop.register_forward_hook(
            lambda _, __, weights: recorded.setdefault(module, []).append(weights) and None
        )


@torch.no_grad()
def run_model(backbone: Backbone, batch: Batch) -> None:
    """The model's own forward pass, nothing captured."""
    with backbone.reading(batch) as visual:
        backbone.generative_model(**backbone.prepare({**batch.prompts, **visual}))


def visual_positions(backbone: Backbone, batch: Batch) -> Tensor:
    """Where the visual tokens of each clip stand among what the language model attends to."""
    if backbone.visual_token == NO_PLACEHOLDER:
        memory = backbone.prepare(asked(batch))["encoder_hidden_states"]
        return torch.arange(memory.shape[1]).expand(len(memory), -1)
    return (batch.inputs["input_ids"] == backbone.visual_token).nonzero()[:, 1].unflatten(0, (len(batch), -1))


def eager_weights(backbone: Backbone, tower: str, modules: list[nn.Module]) -> list[Tensor]:
    """What the library's own eager attention weighs in these modules, for the batch of `make_batch`."""
    recorded.clear()
    if tower == "vision":
        set_attention(backbone, EAGER)
    else:
        backbone.parts()["language"][0].set_attn_implementation(EAGER)  # type: ignore[operator]
    batch = make_batch(backbone)
    inputs = {**batch.inputs, **batch.visual}
    inputs.pop("labels")
    with torch.no_grad():
        backbone.generative_model(**backbone.prepare(inputs))
    return [torch.cat(recorded[module]) for module in modules]


def sharpen(modules: list[nn.Module], factor: float) -> None:
    """Random attention is even, which would hide a wrong order."""
    with torch.no_grad():
        for module in modules:
            for p in module.parameters():
                p.mul_(factor)


def over_patches(backbone: Backbone, weights: Tensor) -> Tensor:
    """Whole attention of the vision tower [group, head, query, key] as a distribution over the patches, row by row."""
    shares = weights[..., backbone.prefix_tokens :]
    shares = shares / shares.sum(-1, keepdim=True)
    shares = shares[:, :, 0] if backbone.has_class_token else shares[:, :, backbone.prefix_tokens :].mean(2)
    return shares if backbone.patch_positions is None else shares[..., backbone.patch_positions]


def vit_difference(family: Family, checkpoint: Path, lora: Lora | None = None) -> float:
    """Largest difference of a captured probability from the eager one, over all vision layers at once, beside each
    other as heads."""
    backbone = make_backbone(family, checkpoint, None, vit_layers=tuple(family.layers), train=(), lora=lora)
    modules = list(backbone.vit_attention_modules().values())
    sharpen(modules, 12)
    randomize_lora(backbone, 0.02)
    attention = backbone(make_batch(backbone)).attention.log_probs.exp()
    assert attention.amax(-1).mean() > 2 / len(family.vit)
    differences = []
    for captured, weights in zip(
        attention.chunk(len(modules), dim=2), eager_weights(backbone, "vision", modules), strict=True
    ):
        eager = over_patches(backbone, weights)
        differences.append((captured - eager.unflatten(0, (3, family.groups))).abs().max().item())
    return max(differences)


def language_difference(family: Family, checkpoint: Path) -> float:
    """The same over the first and last language layer, for the tokens that predict the answer."""
    backbone = make_backbone(family, checkpoint, None, language_layers=(0, -1))
    modules = list(backbone.language_attention_modules().values())
    sharpen(modules, 2)
    batch = make_batch(backbone)
    attention = backbone(batch).attention.log_probs.exp()
    patches = len(family.language)
    assert attention.amax(-1).mean() > 2 / patches
    differences = []
    for captured, weights in zip(attention.chunk(2, dim=2), eager_weights(backbone, "language", modules), strict=True):
        positions = visual_positions(backbone, batch)[:, : family.groups * patches]
        for sample, (visual, labels) in enumerate(zip(positions, batch.inputs["labels"], strict=True)):
            first_word = int((labels != IGNORED).int().argmax())
            rows = weights[sample][:, first_word - 1 : -1]  # the last word before the answer predicts its first
            eager = rows[..., visual].unflatten(-1, (family.groups, patches))
            eager = (eager / eager.sum(-1, keepdim=True)).mean(1)
            differences.append((captured[sample] - eager.transpose(0, 1)).abs().max().item())
    return max(differences)


def lit_clips(backbone: Backbone, cells: Sequence[int]) -> tuple[Clip, Clip]:
    """A dark clip, and one with a small bright square in the middle of another cell of the grid in each group, and gaze
    on it."""
    grid, layout = backbone.grid, backbone.layout
    height, width, frames = 240, 320, len(cells) * layout.frames_per_group
    dark, lit = make_clip(0, frames=frames), make_clip(1, frames=frames)
    dark.frames = torch.zeros(frames, 3, height, width, dtype=torch.uint8)
    lit.frames = dark.frames.clone()
    places = torch.tensor([divmod(cell, grid.columns) for cell in cells]).repeat_interleave(layout.frames_per_group, 0)
    centres = layout.covered * (places + 0.5) / torch.tensor([grid.rows, grid.columns])
    for frame, (y, x) in zip(lit.frames, centres.tolist(), strict=True):
        dy, dx = height // grid.rows // 4, width // grid.columns // 4
        frame[:, int(y * height) - dy : int(y * height) + dy, int(x * width) - dx : int(x * width) + dx] = 255
    lit.gaze = GazeMixture(rearrange(centres.flip(1), "frame xy -> frame 1 xy"), torch.ones(frames, 1), 0.005, 4 / 3)
    return dark, lit


def moved_cells(family: Family, backbone: Backbone, cells: Sequence[int]) -> tuple[list[int], list[int]]:
    """Where a bright square in each of these cells is: by gaze, and by the tokens that it moves most, in the vision
    tower for a backbone with `vit_layers`, else before the block. No patch may see another."""
    set_attention(backbone, SILENT)
    seen: list[Tensor] = []
    at = family.first_layer(backbone.hf) if backbone.options.vit_layers else backbone.block
    assert at is not None
    batch = collate(backbone, list(lit_clips(backbone, cells)))
    with at.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
        run_model(backbone, batch)
    tokens = torch.cat([one.flatten(0, -2) for one in seen]).reshape(2, len(cells), -1, seen[0].shape[-1])
    if backbone.options.vit_layers:
        tokens = tokens[:, :, backbone.prefix_tokens :]
        tokens = tokens if backbone.patch_positions is None else tokens[:, :, backbone.patch_positions]
    moved = (tokens[1] - tokens[0]).norm(dim=-1)
    assert batch.valid.all()
    return batch.gaze[1].argmax(-1).tolist(), moved.argmax(-1).tolist()
