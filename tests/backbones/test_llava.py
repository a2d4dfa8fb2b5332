"""What LLaVA alone does; the rest is in test_contract.py."""

from pathlib import Path

import pytest
import torch

from backbone_families import FAMILIES, make_backbone, make_batch

LLAVA = FAMILIES[0]


def test_visual_tokens_keep_the_order_of_the_patches(tiny_llava: Path) -> None:
    """What the seam hands to the block is the tower's patches in row order."""
    backbone = make_backbone(LLAVA, tiny_llava)
    batch = make_batch(backbone, 2)
    seen = []
    backbone.block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    backbone(batch)
    pixels = batch.inputs["pixel_values"][1, 2][None]
    features = backbone.hf.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1][0, 1:]
    assert torch.allclose(seen[0][1, 2], backbone.hf.model.multi_modal_projector(features), atol=1e-5)


def test_a_layer_above_the_features_cannot_be_taken(tiny_llava: Path) -> None:
    backbone = make_backbone(LLAVA, tiny_llava)
    backbone.hf.config.vision_feature_layer = -2
    assert list(backbone.vit_attention_modules()) == [0]


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model in .*: it has no config.json"):
        make_backbone(LLAVA, tmp_path)


def test_a_frozen_tower_remembers_its_outputs(tiny_llava: Path) -> None:
    plain, cached = make_backbone(LLAVA, tiny_llava, "mean"), make_backbone(LLAVA, tiny_llava, "mean", cached_frames=9)
    calls = []
    cached.hf.model.vision_tower.embeddings.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    for clips, seen in ((2, 8), (2, 8), (3, 12)):
        batch = make_batch(plain, clips)
        assert torch.allclose(plain(batch).cross_entropy, cached(batch).cross_entropy, atol=1e-5)
        assert sum(calls) == seen  # frames of the third clip alone are new
    with pytest.raises(ValueError, match="take vision out of train"):
        make_backbone(LLAVA, tiny_llava, cached_frames=9, train=("vision",))
