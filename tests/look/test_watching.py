"""What is shown of a model's attention is its own, in every family: held against the library's eager attention."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backbone_checks import EAGER, over_patches, recorded, set_attention, sharpen
from backbone_families import Family, make_backbone, make_clip
from gaze_vlm.attention.sources import NO_PLACEHOLDER
from gaze_vlm.backbones import Backbone
from gaze_vlm.look.layer_attention import LayerAttention
from gaze_vlm.look.watching import SOURCES, AskedClip, ask, watch, watched_layers

Seen = dict[str, dict[int, LayerAttention]]


@pytest.fixture(scope="module")
def backbone(family: Family, checkpoint: Path) -> Backbone:
    """With a block that leaves the patches to the language model; random attention is even, so it is sharpened."""
    output = "append" if "append" in family.outputs else "modulate"
    made = make_backbone(family, checkpoint, output).eval()
    sharpen([*made.vit_attention_modules().values()], 12)
    sharpen([*made.language_attention_modules().values()], 2)
    return made


def seen_by(backbone: Backbone, asked: AskedClip) -> tuple[Seen, Tensor]:
    """All that `watch` hands on."""
    seen: Seen = {}
    watched = {source: watched_layers(backbone, source) for source in SOURCES}
    there = {source: layers for source, layers in watched.items() if layers is not None}
    probabilities = watch(backbone, asked, there, lambda source, n, one: seen.setdefault(source, {}).update({n: one}))
    return seen, probabilities


@torch.no_grad()
def eager_pass(backbone: Backbone, asked: AskedClip) -> tuple[list[Tensor], Tensor]:
    """Attention of each language layer [head, query, key] and the logits, with `output_attentions` and no capture."""
    recorded.clear()
    set_attention(backbone, EAGER)
    backbone.parts()["language"][0].set_attn_implementation("eager")
    ids = torch.cat([asked.prompt_ids, asked.answer_ids])[None]
    with backbone.reading(asked.batch) as visual:
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **visual}
        made = backbone.generative_model(**backbone.prepare(inputs), output_attentions=True)
    weights = made.cross_attentions if backbone.visual_token == NO_PLACEHOLDER else made.attentions
    return [one[0] for one in weights], made.logits[0]


def test_every_source_is_the_librarys_eager_attention(family: Family, backbone: Backbone) -> None:
    asked = ask(backbone, make_clip(0), "pick up red cup")
    seen, probabilities = seen_by(backbone, asked)
    language, logits = eager_pass(backbone, asked)
    tokens, patches = len(asked.answer_ids), len(family.language)
    assert {source: [*layers] for source, layers in seen.items()} == {
        "vision": family.layers,
        "block": [0, 1],
        "language": [*range(len(language))],
    }
    ids = torch.cat([asked.prompt_ids, asked.answer_ids])
    of_frame = backbone.tokens_per_frame
    if backbone.visual_token == NO_PLACEHOLDER:
        places = torch.arange(family.groups * of_frame)
    else:
        places = (ids == backbone.visual_token).nonzero()[: family.groups * of_frame, 0]
    places = places.unflatten(0, (family.groups, of_frame))[:, :patches]
    for weights, one in zip(language, seen["language"].values(), strict=True):
        rows = weights[:, len(asked.prompt_ids) - 1 : -1][..., places]  # [head, token, frame, patch]
        eager = rows.transpose(0, 1)
        assert torch.allclose(one.shares, eager.sum(-1), atol=1e-5)
        assert torch.allclose(one.maps, eager / eager.sum(-1, keepdim=True), atol=1e-5)
        assert one.maps.amax(-1).mean() > 2 / patches
    modules = backbone.vit_attention_modules()
    for number, one in seen["vision"].items():
        weights = torch.cat(recorded[modules[number]])
        rows = weights[:, :, :1] if backbone.has_class_token else weights[:, :, backbone.prefix_tokens :]
        shares = rows[..., backbone.prefix_tokens :].sum(-1).mean(-1)
        assert torch.allclose(one.shares[0], shares.T, atol=1e-5)
        assert torch.allclose(one.maps[0].transpose(0, 1), over_patches(backbone, weights), atol=1e-5)
        assert one.maps.amax(-1).mean() > 1.5 / len(family.vit)
    assert torch.allclose(
        probabilities, logits[-tokens - 1 : -1].softmax(-1)[range(tokens), asked.answer_ids], atol=1e-5
    )
