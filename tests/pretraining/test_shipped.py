"""The checkpoint that ships: what the command writes, what its page says, and found from everywhere."""

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoConfig, AutoProcessor, GenerationConfig

from gaze_vlm.backbones import Llava
from gaze_vlm.cli import main
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.pretraining import from_scratch
from gaze_vlm.pretraining.from_scratch import make_backbone
from gaze_vlm.pretraining.options import Pretraining, how_made
from gaze_vlm.pretraining.stills import stills
from gaze_vlm.shipped.checkpoints import locate_checkpoint, shipped_checkpoints
from gaze_vlm.training.checkpoint_files import read_checkpoint
from training_files import ROOT, arguments

NAME = "kitchen-llava"
FOLDER = shipped_checkpoints()[NAME]
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
FACTS: dict[str, Any] = json.loads((FOLDER / "pretraining.json").read_text())
SETTINGS = {"kitchen", "seed", *how_made(Pretraining())}


def described(folder: Path) -> dict[str, Any]:
    """What a checkpoint is but for its weights, in words that every version of the library has."""
    processor = AutoProcessor.from_pretrained(folder)
    parts = [
        AutoConfig.from_pretrained(folder).to_dict(),
        GenerationConfig.from_pretrained(folder).to_dict(),
        processor.image_processor.to_dict(),
    ]
    for part in parts:
        for of_the_copy in ("transformers_version", "_name_or_path"):
            part.pop(of_the_copy, None)
    tokenizer = processor.tokenizer
    special = (tokenizer.get_vocab(), tokenizer.special_tokens_map, tokenizer.padding_side, processor.chat_template)
    weights = {name: (tensor.shape, tensor.dtype) for name, tensor in load_file(folder / "model.safetensors").items()}
    return {"parts": parts, "tokenizer": special, "weights": weights}


def test_it_is_what_the_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    monkeypatch.setattr(from_scratch, "render_stills", lambda clips, frames, _: [stills(rng, frames)] * clips)
    untrained = Pretraining(clips=1, encoder_steps=0, alignment_steps=0, held_out_clips=4)
    made = make_backbone(tmp_path / NAME, pretraining=untrained)
    assert described(made) == described(FOLDER)
    assert {file.name for file in made.iterdir()} | {"README.md"} == {file.name for file in FOLDER.iterdir()}
    assert json.loads((made / "pretraining.json").read_text()).keys() == FACTS.keys()
    assert how_made(Pretraining()).items() <= FACTS.items()


def test_its_page_says_what_it_is() -> None:
    weights, config = load_file(FOLDER / "model.safetensors"), AutoConfig.from_pretrained(FOLDER)
    assert f"version {FACTS['kitchen']} of the kitchen," in PAGE
    assert f"--output {NAME} --seed {FACTS['seed']}\n" in PAGE
    assert f"transformers {json.loads((FOLDER / 'config.json').read_text())['transformers_version']} " in PAGE
    assert hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest() in PAGE
    assert f"{sum(tensor.numel() for tensor in weights.values()):,} of float32" in PAGE
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert f"{config.text_config.vocab_size} words" in PAGE
    accuracies = {name: float(share) for name, share in re.findall(r"`(\w+)`: [^|]+ \| ([\d.]+) \|", PAGE)}
    assert accuracies == {name: share for name, share in FACTS.items() if name not in SETTINGS}


def test_it_names_no_place() -> None:
    texts = [file.read_text(encoding="utf-8") for file in FOLDER.iterdir() if file.suffix != ".safetensors"]
    assert [found for text in texts for found in re.findall(r"(?:^|[\s\"'])(?:/\w+/|~/)|://", text)] == []


def test_what_is_no_module_is_in_the_wheel() -> None:
    package = ROOT / "src" / "gaze_vlm"
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["gaze_vlm"]
    packed = {file for pattern in patterns for file in package.glob(pattern)}
    others = {file for file in package.rglob("*.*") if file.suffix not in (".py", ".pyc")}
    configs = package / "shipped" / "lightning_configs"  # a link; tests/test_wheel.py looks at what it holds
    assert {file for file in others if configs not in (file, *file.parents)} == {
        file for file in packed if configs not in (file, *file.parents)
    }


def test_a_run_keeps_its_name_and_is_used_from_elsewhere(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).mkdir()  # of somebody else, above the run
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert main(["fit", *arguments(Path("run"), Path(NAME), prepared, steps=1)]) == 0
    run = tmp_path / "work" / "run"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["backbone"]["init_args"]["checkpoint"] == NAME
    assert read_checkpoint(run / "checkpoints" / "best.ckpt")["gaze_vlm"]["base_checkpoint"] == NAME
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["test", f"--config={run / 'config.yaml'}", f"--ckpt_path={run / 'checkpoints' / 'best.ckpt'}"]) == 0
    assert main(["export", f"--run={run}", "--output=exported"]) == 0
    texts = [file.read_text() for file in Path("exported").iterdir() if file.suffix != ".safetensors"]
    assert not any(str(FOLDER) in text for text in texts)
    Llava("./exported").load()


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(MissingFileError, match=r"none that ships \(kitchen-llava\); did you mean kitchen-llava\?"):
        Llava("kitchen-lava").load()


def test_a_folder_of_its_name_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(NAME).mkdir()
    with pytest.raises(InputError, match=f"write ./{NAME} for that path"):
        Llava(NAME).load()
    assert locate_checkpoint(f"./{NAME}") == f"./{NAME}"
    assert locate_checkpoint("owner/name") == "owner/name"


@pytest.mark.remake
def test_the_command_makes_it_again(tmp_path: Path) -> None:
    """To a few points of a hundred: other seeds differ by up to 6."""
    assert main(["backbone", f"--output={tmp_path / NAME}", f"--seed={FACTS['seed']}"]) == 0
    made = json.loads((tmp_path / NAME / "pretraining.json").read_text())
    assert made.keys() == FACTS.keys()
    assert {name: made[name] for name in made.keys() - SETTINGS} == pytest.approx(
        {name: FACTS[name] for name in FACTS.keys() - SETTINGS}, abs=0.06
    )
