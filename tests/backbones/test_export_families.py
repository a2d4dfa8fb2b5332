"""Every family as others load it: `transformers` alone where that can be, else `load_backbone`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, GenerationConfig

from backbone_families import (
    FAMILIES,
    Family,
    asked,
    collate,
    make_backbone,
    make_batch,
    make_clip,
    randomize_lora,
)
from gaze_vlm.backbones import Backbone, Lora
from gaze_vlm.backbones.export_files import ClipShape
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.errors import InputError
from gaze_vlm.export.loading_code import loading_code, needs_package
from gaze_vlm.gaze.view import View
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.training.export import export_backbone
from training_files import ROOT

PLAIN = ROOT / "tests" / "plain_transformers.py"
RATE_HZ = 2.5  # of the frames of `make_clip`
ADAPTERS = ("llava", "qwen3-vl-video", "smolvlm2")
"""Families whose adapter is loaded by peft in plain transformers."""


def trained(family: Family, checkpoint: Path, output: str | None, **options: Any) -> Backbone:
    """As after a training: all trainable parameters have moved."""
    lora = Lora(("vision", "language"), rank=2)
    backbone = make_backbone(family, checkpoint, output, train=("projector",), lora=lora, **options)
    randomize_lora(backbone)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    return backbone.eval()


@torch.no_grad()
def answer_and_logits(backbone: Backbone) -> tuple[str, torch.Tensor]:
    """What it says of a clip, and the logits of the first word."""
    batch = collate(backbone, [make_clip(0)])
    logits = backbone.generative_model(**backbone.prepare(asked(batch))).logits[:, -1]
    return backbone.generate(batch)[0], logits


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to")
def test_plain_transformers_answers_as_the_run(tmp_path: Path) -> None:
    """In one process without this package: whole models of all families, and some adapters on their base."""
    expected: dict[Path, tuple[str, torch.Tensor]] = {}
    for family in FAMILIES:
        if family.name == "narrator":
            continue
        checkpoint = tmp_path / family.name
        save_checkpoint(*family.build(), checkpoint)
        for form in ("whole", "adapter") if family.name in ADAPTERS else ("whole",):
            backbone = trained(family, checkpoint, None, language_layers=(-1,))
            assert needs_package(backbone, form) is None
            folder = tmp_path / f"{family.name}-{form}"
            folder.mkdir()
            expected[folder] = answer_and_logits(backbone)
            code = loading_code(backbone, form, make_clip(0).prompt, RATE_HZ)
            (folder / "load.py").write_text(code, encoding="utf-8")
            save_file({"frames": make_clip(0).frames}, folder / "clip.safetensors")
            export_backbone(backbone, folder, form)
    jobs = tmp_path / "jobs.json"
    jobs.write_text(json.dumps(list(map(str, expected))))
    subprocess.run([sys.executable, "-W", "ignore", str(PLAIN), str(jobs)], check=True)
    for folder, (answer, logits) in expected.items():
        assert (folder / "answer.txt").read_text(encoding="utf-8").strip() == answer, folder.name
        assert torch.allclose(load_file(folder / "logits.safetensors")["logits"], logits, atol=1e-3), folder.name


def test_the_folder_keeps_what_an_answer_needs(family: Family, checkpoint: Path, tmp_path: Path) -> None:
    """The size of frames, how they are sampled, the chat template, and how long an answer is."""
    backbone = make_backbone(family, checkpoint, None)
    backbone.hf.generation_config.update(do_sample=True, temperature=0.1, top_p=0.5, repetition_penalty=1.05)
    export_backbone(backbone, tmp_path, clip=ClipShape(4, RATE_HZ))
    assert json.loads((tmp_path / "gaze_vlm.json").read_text())["clip"] == {"frames": 4, "frame_hz": RATE_HZ}
    config = GenerationConfig.from_pretrained(tmp_path)
    assert (config.do_sample, config.max_new_tokens) == (False, backbone.options.max_new_tokens)
    assert (config.temperature, config.top_p, config.repetition_penalty) == (None, None, None)
    processor = AutoProcessor.from_pretrained(tmp_path)
    if family.name != "smolvlm2":  # whose processor's class brings its own
        assert processor.tokenizer.chat_template or processor.chat_template
    clip, collator = make_clip(0), backbone.collator()
    frames = backbone.options.view.pixels(clip.frames, *backbone.frame_size_px)
    of_frames = getattr(processor, f"{backbone.media}_processor")
    made = of_frames([frames] if backbone.media == "video" else list(frames), return_tensors="pt")
    pixels = made.get("pixel_values_videos", made.get("pixel_values"))
    assert torch.equal(pixels.flatten(), collator.pixel_values(clip.frames).flatten())


def test_the_page_has_the_lines_of_a_llava(tiny_llava: Path) -> None:
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    for output in (None, "pool"):
        backbone = make_backbone(FAMILIES[0], tiny_llava, output)
        code = loading_code(backbone, "whole", make_clip(0).prompt, RATE_HZ, "exported")
        assert f"```python\n{code.replace('[48, 48]', '[336, 336]')}```\n" in page


def test_a_view_is_cut_out_by_this_package(tiny_llava: Path) -> None:
    backbone = make_backbone(FAMILIES[0], tiny_llava, None, view=View(0.25, 0.0, 0.75, 1.0))
    assert "a part of each frame" in str(needs_package(backbone, "whole"))
    assert "load_backbone" in loading_code(backbone, "whole", "?", RATE_HZ)


def test_a_block_is_put_back(family: Family, checkpoint: Path, tmp_path: Path) -> None:
    backbone = trained(family, checkpoint, family.outputs[-1])
    batch = make_batch(backbone)
    before = backbone(batch)
    export_backbone(backbone, tmp_path)
    again = load_backbone(tmp_path)
    after = again(batch)
    assert torch.allclose(after.cross_entropy, before.cross_entropy, atol=1e-3)
    assert torch.allclose(after.attention.log_probs, before.attention.log_probs, atol=1e-3)
    assert again.generate(batch) == backbone.generate(batch)


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to")
def test_an_adapter_makes_the_run_of_its_base(family: Family, checkpoint: Path, tmp_path: Path) -> None:
    backbone = trained(family, checkpoint, family.outputs[-1])
    batch = make_batch(backbone)
    before = backbone(batch).cross_entropy
    if family.name == "llava-onevision":
        with pytest.raises(InputError, match=r"belongs to no module that peft could replace: .*--form whole"):
            export_backbone(backbone, tmp_path, "adapter")
        return
    export_backbone(backbone, tmp_path, "adapter")
    again = load_backbone(tmp_path)
    assert torch.allclose(again(batch).cross_entropy, before, atol=1e-4)
    assert again.generate(batch) == backbone.generate(batch)
    base = make_backbone(family, checkpoint, family.outputs[-1], train=()).eval()
    assert not torch.allclose(base(batch).cross_entropy, before, atol=1e-3)


@pytest.mark.parametrize("output", [*FAMILIES[0].outputs, "append_both"])
def test_a_block_alone_goes_onto_its_base(tiny_llava: Path, output: str, tmp_path: Path) -> None:
    backbone = make_backbone(FAMILIES[0], tiny_llava, output, train=()).eval()
    with torch.no_grad():
        for parameter in backbone.block.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    export_backbone(backbone, tmp_path, "block")
    batch = make_batch(backbone)
    again = load_backbone(tmp_path)
    assert torch.equal(again(batch).cross_entropy, backbone(batch).cross_entropy)
    assert again.generate(batch) == backbone.generate(batch)
    assert not list(tmp_path.glob("*model*.safetensors"))


def test_a_form_that_a_run_has_not_is_refused(tiny_llava: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the block alone was trained, but projector and block"):
        export_backbone(make_backbone(FAMILIES[0], tiny_llava, train=("projector",)), tmp_path, "block")
    with pytest.raises(InputError, match="without LoRA, so there is no adapter"):
        export_backbone(make_backbone(FAMILIES[0], tiny_llava, train=()), tmp_path, "adapter")
