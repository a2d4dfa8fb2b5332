"""What the narrator alone does; the rest is in test_contract.py."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2LMHeadModel, VisionEncoderDecoderModel

from backbone_families import FAMILIES, WORDS, asked, collate, make_backbone, make_batch, make_clip
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.backbones.narrator import Narrator
from gaze_vlm.backbones.tiny.narrator import build_tiny_narrator
from gaze_vlm.cli import main

NARRATOR = next(family for family in FAMILIES if family.name == "narrator")


def make_narrator(folder: Path, architecture: str, output: str | None = None, **options: Any) -> Narrator:
    save_checkpoint(*build_tiny_narrator(WORDS, architecture), folder)
    return make_backbone(NARRATOR, folder, output, **options)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("architecture", "class_token", "prefix"),
    [
        ("vit_base_patch16_siglip_224", False, 0),
        ("vit_base_patch16_reg4_gap_256", False, 4),
        ("vit_small_patch16_dinov3", True, 5),  # registers beside the class token, rotary positions
        ("vit_small_patch16_rope_224", True, 1),
        ("vit_little_patch16_reg1_gap_256", False, 1),  # normalises queries and keys
    ],
)
def test_attention_of_any_vision_transformer_is_its_unfused_attention(
    tmp_path: Path, architecture: str, class_token: bool, prefix: int
) -> None:
    backbone = make_narrator(tmp_path, architecture, vit_layers=(0, 1))
    modules = list(backbone.vit_attention_modules().values())
    assert (backbone.has_class_token, backbone.prefix_tokens) == (class_token, prefix)
    with torch.no_grad():
        for module in modules:
            for p in module.parameters():
                p.mul_(16)  # random attention is even
    batch = make_batch(backbone)
    captured = backbone(batch).attention.log_probs.exp()
    weights: list[Tensor] = []
    for module in modules:
        module.fused_attn = False  # type: ignore[assignment]
        module.attn_drop.register_forward_hook(lambda _, __, output: weights.append(output))  # type: ignore[union-attr, operator]
    backbone.prepare(asked(batch))
    assert captured.amax(-1).mean() > 1.5 / len(backbone.grid)
    for ours, unfused in zip(captured.chunk(2, dim=2), weights, strict=True):
        patches = unfused[..., prefix:]
        patches = patches / patches.sum(-1, keepdim=True)
        patches = patches[:, :, 0] if class_token else patches[:, :, prefix:].mean(2)
        assert (ours.flatten(0, 1) - patches).abs().max() < 1e-5


def test_a_bias_on_the_attention_is_refused(tmp_path: Path) -> None:
    backbone = make_narrator(tmp_path, "beit_base_patch16_224", vit_layers=(-1,))
    with pytest.raises(ValueError, match="adds a mask or bias to its attention"):
        backbone(make_batch(backbone))
    assert backbone.generate(make_batch(backbone))  # the capture is off again


@pytest.mark.parametrize("architecture", ["vit_base_patch16_siglip_224", "vit_base_patch16_reg4_gap_256"])
def test_the_trainable_has_a_gradient_and_a_head_that_pools_stays_frozen(tmp_path: Path, architecture: str) -> None:
    backbone = make_narrator(tmp_path, architecture, train=("vision", "projector", "language"))
    backbone(make_batch(backbone)).cross_entropy.sum().backward()
    assert {name for name, p in backbone.named_parameters() if p.requires_grad and p.grad is None} == set()
    frozen = {name.split("timm_model.")[-1].split(".")[0] for name, p in backbone.named_parameters() if p.grad is None}
    assert frozen <= {"attn_pool", "fc_norm"}
    assert frozen


def test_reentrant_checkpointing_is_refused(tmp_path: Path) -> None:
    """It would leave the captured attention without a gradient."""
    timm.layers.set_reentrant_ckpt(True)
    try:
        with pytest.raises(ValueError, match="unset TIMM_REENTRANT_CKPT"):
            make_narrator(tmp_path, "vit_tiny_patch16_224", gradient_checkpointing=True)
    finally:
        timm.layers.set_reentrant_ckpt(False)


def test_the_decoder_sees_the_order_of_the_frames(tmp_path: Path) -> None:
    for output in (None, "pool", "modulate"):
        backbone = make_narrator(tmp_path, "vit_tiny_patch16_224", output)
        batch = make_batch(backbone, 1)
        forward = backbone(batch).cross_entropy
        batch.visual["pixel_values"] = batch.visual["pixel_values"].flip(1)
        assert (backbone(batch).cross_entropy - forward).abs() > 1e-4


def test_a_single_frame_is_what_the_library_makes_of_it(tmp_path: Path) -> None:
    """Of a tower without prefix tokens, which the library leaves in the memory."""
    backbone = make_narrator(tmp_path, "vit_base_patch16_siglip_224")
    prompts = asked(collate(backbone, [make_clip(0, frames=1)]))
    plain = VisionEncoderDecoderModel.from_pretrained(tmp_path)
    logits = plain(pixel_values=prompts["pixel_values"][:, 0], decoder_input_ids=prompts["input_ids"]).logits
    assert torch.allclose(backbone.generative_model(**backbone.prepare(prompts)).logits, logits, atol=1e-5)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 without cross-attention."""
    folder = tmp_path_factory.mktemp("gpt2")
    model, processor = build_tiny_narrator(WORDS)
    config = model.decoder.config
    config.add_cross_attention = False
    del config.is_decoder  # as a GPT-2 of the hub, which knows of neither
    GPT2LMHeadModel(config).save_pretrained(folder)
    processor.tokenizer.chat_template = None
    processor.tokenizer.save_pretrained(folder)
    return folder


def test_a_composed_narrator_begins_as_its_gpt2(gpt2: Path, tmp_path: Path) -> None:
    output = tmp_path / "narrator"
    options = [f"--language={gpt2}", f"--output={output}", "--frame_size_px=32", "--pretrained=false"]
    assert main(["narrator", "--vision=vit_tiny_patch16_224", *options]) == 0
    backbone = make_backbone(NARRATOR, output, "modulate")
    backbone.eval()
    batch = make_batch(backbone, 1)
    assert backbone.frame_size_px == (32, 32)
    text = backbone.processor.tokenizer.decode(batch.inputs["input_ids"][0]).split()
    assert text == "what is the camera wearer doing ? cut onion </s>".split()
    own = GPT2LMHeadModel.from_pretrained(gpt2)(input_ids=batch.prompts["input_ids"]).logits
    assert torch.allclose(backbone.generative_model(**backbone.prepare(asked(batch))).logits, own, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vision=no_such_vit"], "has no such model"),
        (["--vision=swin_tiny_patch4_window7_224"], "choose a plain vision transformer"),
        (["--vision=vit_tiny_patch16_224", "--pretrained=true"], "its pretrained weights cannot be reached"),
        (["--vision=vit_tiny_patch16_224", "--language=./nowhere"], "no such folder"),
    ],
)
def test_a_bad_part_is_named(
    gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: list[str], message: str
) -> None:
    usual = ["--pretrained=false", f"--language={gpt2}", f"--output={tmp_path / 'out'}"]
    assert main(["narrator", *usual, *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_gpt2_that_lacks_a_weight_is_refused(gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Its cross-attention alone is new."""
    language = Path(shutil.copytree(gpt2, tmp_path / "gpt2"))
    weights = load_file(language / "model.safetensors")
    del weights["transformer.ln_f.weight"]
    save_file(weights, language / "model.safetensors", {"format": "pt"})
    options = [f"--language={language}", f"--output={tmp_path / 'out'}", "--pretrained=false"]
    assert main(["narrator", "--vision=vit_tiny_patch16_224", *options]) == 1
    assert f"{language} lacks 1 weights of its model, which would be random: transformer.ln" in capsys.readouterr().err
