"""Every family as an ordinary checkpoint; docs/export.md is run as it stands."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from backbone_families import Family, asked, collate, make_backbone, make_batch, make_clip, randomize_lora
from gaze_vlm.backbones import Backbone, Lora
from gaze_vlm.backbones.export_files import BLOCK
from gaze_vlm.errors import InputError
from gaze_vlm.training.export import export_backbone

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
WITHOUT_BLOCK, WITH_BLOCK, ADAPTER = (
    part.split("```")[0] for part in PAGE.read_text(encoding="utf-8").split("```python\n")[1:]
)


def run_documented(code: str, **names: Any) -> dict[str, Any]:
    """What documented lines define, given what the page says is there."""
    exec(compile(code, str(PAGE), "exec"), names)
    return names


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


@pytest.mark.parametrize("source", [{"vit_layers": (-1,)}, {"language_layers": (-1,)}], ids=["vit", "language"])
def test_plain_transformers_answers_as_the_run(family: Family, checkpoint: Path, source: dict, tmp_path: Path) -> None:
    backbone = trained(family, checkpoint, None, **source)
    clip = make_clip(0)
    batch = collate(backbone, [clip])
    before = backbone(batch).cross_entropy
    answer = backbone.generate(batch)[0]
    with torch.no_grad():
        logits = backbone.generative_model(**backbone.prepare(asked(batch))).logits
    export_backbone(backbone, tmp_path)
    if family.name == "narrator":  # which needs this package
        again = run_documented(WITH_BLOCK, folder=tmp_path)["backbone"]
        assert again.generate(batch) == [answer]
        return
    frames = backbone.options.view.pixels(clip.frames, *backbone.frame_size_px)
    made = run_documented(WITHOUT_BLOCK, folder=tmp_path, frames=frames, rate_hz=2.5)
    assert type(made["model"]) is type(backbone.hf)
    with torch.no_grad():
        exported = made["model"](**made["inputs"]).logits
    assert torch.allclose(exported[:, -1], logits[:, -1], atol=1e-3)
    assert made["answer"].strip() == answer
    plain = make_backbone(family, tmp_path, None, train=())
    assert torch.allclose(plain(batch).cross_entropy, before, atol=1e-3)


def test_a_block_is_put_back(family: Family, checkpoint: Path, tmp_path: Path) -> None:
    backbone = trained(family, checkpoint, family.outputs[-1])
    batch = make_batch(backbone)
    before = backbone(batch)
    export_backbone(backbone, tmp_path)
    again = run_documented(WITH_BLOCK, folder=tmp_path)["backbone"]
    after = again(batch)
    assert torch.allclose(after.cross_entropy, before.cross_entropy, atol=1e-3)
    assert torch.allclose(after.attention.log_probs, before.attention.log_probs, atol=1e-3)
    assert again.generate(batch) == backbone.generate(batch)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")  # in peft
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
    again = make_backbone(family, checkpoint, family.outputs[-1], train=()).eval()
    assert not torch.allclose(again(batch).cross_entropy, before, atol=1e-3)
    PeftModel.from_pretrained(again.hf, tmp_path)
    again.block.load_state_dict(load_file(tmp_path / BLOCK))
    assert torch.allclose(again(batch).cross_entropy, before, atol=1e-4)
    if family.name != "narrator":
        loaded = run_documented(ADAPTER, folder=tmp_path, base=checkpoint)["model"].state_dict()
        ours = {name.replace(".default", ""): value for name, value in backbone.hf.state_dict().items()}
        for name, value in loaded.items():
            plain = name.removeprefix("base_model.model.").replace(".modules_to_save", "").replace(".default", "")
            assert ".original_module" in name or torch.equal(value, ours[plain]), name


def test_a_block_alone_goes_onto_its_base(family: Family, checkpoint: Path, tmp_path: Path) -> None:
    backbone = make_backbone(family, checkpoint, family.outputs[-1], train=()).eval()
    export_backbone(backbone, tmp_path, "block")
    again = make_backbone(family, checkpoint, family.outputs[-1], train=()).eval()
    again.block.load_state_dict(load_file(tmp_path / BLOCK))
    batch = make_batch(backbone)
    assert torch.equal(again(batch).cross_entropy, backbone(batch).cross_entropy)
    assert not list(tmp_path.glob("*model*.safetensors"))
    with pytest.raises(InputError, match="not the block alone was trained, but projector and block"):
        export_backbone(make_backbone(family, checkpoint, family.outputs[-1], train=("projector",)), tmp_path, "block")
    with pytest.raises(InputError, match="without LoRA, so there is no adapter"):
        export_backbone(backbone, tmp_path, "adapter")
