"""What LLaVA alone does; the rest is in test_contract.py."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor, SiglipVisionConfig

from backbone_checks import moved_cells, vit_difference
from backbone_families import FAMILIES, WORDS, make_backbone, make_batch
from gaze_vlm.backbones import InternVL, Llava, Lora, QwenVL
from gaze_vlm.backbones.loading import check_model_type, save_checkpoint
from gaze_vlm.backbones.tiny.common import draw_weights, vision_sizes
from gaze_vlm.backbones.tiny.llava import TinyLlavaSize, build_tiny_llava
from gaze_vlm.errors import InputError

LLAVA = FAMILIES[0]


def test_visual_tokens_keep_the_order_of_the_patches(tiny_llava: Path) -> None:
    """What the seam hands to the block is the tower's patches in row order."""
    backbone = make_backbone(LLAVA, tiny_llava)
    batch = make_batch(backbone, 2)
    seen = []
    backbone.block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    backbone(batch)
    pixels = batch.visual["pixel_values"][1, 2][None]
    features = backbone.hf.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1][0, 1:]
    assert torch.allclose(seen[0][1, 2], backbone.hf.model.multi_modal_projector(features), atol=1e-5)


def test_a_layer_above_the_features_cannot_be_taken(tiny_llava: Path) -> None:
    backbone = make_backbone(LLAVA, tiny_llava)
    backbone.hf.config.vision_feature_layer = -2
    assert list(backbone.vit_attention_modules()) == [0]


def test_layers_above_the_features_do_not_learn(tiny_llava: Path, tmp_path: Path) -> None:
    """As in LLaVA 1.5, which reads the hidden state before the last layer; LoRA is not put there either."""
    folder = shutil.copytree(tiny_llava, tmp_path / "llava")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vision_feature_layer": -2}))
    for options in ({"train": ("vision",)}, {"train": (), "lora": Lora(("vision",), rank=2)}):
        backbone = make_backbone(LLAVA, folder, None, **options)
        trainable = {name: p for name, p in backbone.hf.named_parameters() if p.requires_grad}
        assert any(".layers.0." in name for name in trainable)
        assert not any(".layers.1." in name or "post_layernorm" in name for name in trainable)
        backbone(make_batch(backbone)).cross_entropy.sum().backward()
        assert all(p.grad is not None for p in trainable.values())


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model in .*: it has no config.json"):
        make_backbone(LLAVA, tmp_path)


def test_a_checkpoint_of_another_family_is_refused(tiny_llava: Path) -> None:
    with pytest.raises(ValueError, match="is a llava checkpoint, QwenVL takes qwen2_vl or qwen2_5_vl or qwen3_vl"):
        QwenVL(str(tiny_llava)).load()
    with pytest.raises(ValueError, match="is a llava checkpoint, InternVL takes internvl: choose its own class_path"):
        InternVL(str(tiny_llava)).load()


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_in_view_out_of_range_is_refused_before_anything_is_loaded(share: float) -> None:
    with pytest.raises(ValueError, match=rf"min_mass_in_view is {share}; expected a share above 0 and up to 1"):
        Llava("nowhere", min_mass_in_view=share)


@pytest.mark.parametrize("model_type", ["llava", "of_its_own"])
def test_code_of_a_checkpoint_is_never_run(
    tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_type: str
) -> None:
    """Nor is anybody asked whether to. A family that the library has is loaded with the library's code."""
    folder = Path(shutil.copytree(tiny_llava, tmp_path / "checkpoint"))
    names = {"AutoConfig": "own.Config", "AutoProcessor": "own.Processor", "AutoModelForImageTextToText": "own.Model"}
    for file in folder.glob("*config.json"):
        values = json.loads(file.read_text()) | {"auto_map": names}
        file.write_text(json.dumps(values | ({"model_type": model_type} if file.name == "config.json" else {})))
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: ...\nProcessor = Model = Config\n"
    (folder / "own.py").write_text(code)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    if model_type == "llava":
        Llava(str(folder)).load()
    else:
        with pytest.raises(InputError, match="code of a checkpoint is never run"):
            check_model_type(str(folder), "Llava", ("llava",))
    assert not (tmp_path / "ran").exists()


def build_siglip_llava() -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """A LLaVA with SigLIP's tower, which has no class token and a head that LLaVA does not read."""
    size = TinyLlavaSize(48, patch=12, vision_width=32, vision_layers=2, language_width=32)
    like, processor = build_tiny_llava(WORDS, size)
    tower = SiglipVisionConfig(**vision_sizes(32, 48, 12))
    settings = {"vision_config": tower, "vision_feature_select_strategy": "full", "vision_feature_layer": -1}
    config = LlavaConfig(**like.config.to_dict() | settings)
    return draw_weights(lambda: LlavaForConditionalGeneration(config), 0), processor


def test_a_tower_without_a_class_token(tmp_path: Path) -> None:
    """With a class token taken for granted, the first patch would be left out and every other one moved by one."""
    family = replace(LLAVA, build=build_siglip_llava)
    save_checkpoint(*family.build(), tmp_path)
    for options in ({"output": "modulate"}, {"output": None, "vit_layers": (1,)}):
        backbone = make_backbone(family, tmp_path, **options)
        cells = list(range(len(backbone.grid)))
        gaze, moved = moved_cells(family, backbone, cells)
        assert gaze == moved == cells
    assert vit_difference(family, tmp_path) < 1e-5
    whole = make_backbone(family, tmp_path, None, train=("vision", "projector", "language"))
    whole(make_batch(whole)).cross_entropy.sum().backward()
    assert all(p.grad is not None for p in whole.hf.parameters() if p.requires_grad)  # the head's are not asked for
