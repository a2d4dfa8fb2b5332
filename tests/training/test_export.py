"""A run that learned through LoRA: its checkpoint, its export, and what refuses it."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForImageTextToText

from backbone_families import make_clip
from gaze_vlm.cli import main
from gaze_vlm.training.configured import load_run
from training_files import arguments, fit

MODEL = "--model.backbone.init_args"
LORA = [
    f"{MODEL}.train=[projector]",
    f"{MODEL}.lora={{parts: [vision, language], rank: 2}}",
    f"{MODEL}.gradient_checkpointing=true",
    "--model.learning_rates={language: 1.0e-2}",
]


@pytest.fixture(scope="module")
def lora_run(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(tmp_path_factory.mktemp("runs") / "lora", tiny_llava, prepared, *LORA)


def test_the_checkpoint_holds_lora_and_no_frozen_weight(lora_run: Path) -> None:
    names = torch.load(lora_run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"].keys()
    of_model = [name for name in names if ".hf." in name]
    assert all("lora_" in name or "multi_modal_projector" in name for name in of_model)
    assert {"vision_tower", "language_model"} <= {part for name in of_model for part in name.split(".")}
    config = yaml.safe_load((lora_run / "config.yaml").read_text())
    assert config["model"]["backbone"]["init_args"]["lora"]["rank"] == 2


def test_another_lora_is_refused(
    lora_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Of another scale, too, whose weights have the same shapes."""
    options = [*arguments(tmp_path, tiny_llava, prepared), *LORA]
    for more, said in (
        ("rank=4", "lora rank 2 on vision, language (.*), this run's config builds lora rank 4 on vision"),
        ("alpha=4", "lora_alpha 32.0, this run's config builds lora_alpha 4.0"),
    ):
        checkpoint = lora_run / "checkpoints" / "best.ckpt"
        assert main(["test", *options, f"{MODEL}.lora.{more}", f"--ckpt_path={checkpoint}"]) == 1
        assert f"trained with {said}" in capsys.readouterr().err


def test_a_run_is_exported(lora_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["export", "--run", str(lora_run), "--output", str(tmp_path)]) == 0
    assert f"{tmp_path / 'README.md'} says what it is" in capsys.readouterr().out
    names = {path.name for path in tmp_path.iterdir()}
    assert {"README.md", "generation_config.json", "chat_template.jinja"} <= names
    assert {"model.safetensors", "config.json", "gaze_vlm.json", "gaze_block.safetensors", "tokenizer.json"} <= names
    assert json.loads((tmp_path / "gaze_vlm.json").read_text())["block"]["output"] == "both"
    backbone = load_run(lora_run, max_new_tokens=3).model.backbone
    assert backbone.options.max_new_tokens == 3  # as an export loads full weights in place of 4 bits
    exported = AutoModelForImageTextToText.from_pretrained(tmp_path).model.vision_tower.eval()
    pixels = backbone.collator()([make_clip(0)]).visual["pixel_values"][0]
    with torch.no_grad():
        before, after = (tower(pixels).last_hidden_state for tower in (backbone.hf.model.vision_tower, exported))
    assert torch.allclose(before, after, atol=1e-5)
    assert main(["export", "--run", str(lora_run), "--output", str(tmp_path)]) == 1
    assert "is not empty: name a new folder" in capsys.readouterr().err


def test_an_unfinished_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["export", "--run", str(tmp_path), "--output", str(tmp_path / "new")]) == 1
    assert "is not a finished run" in capsys.readouterr().err
