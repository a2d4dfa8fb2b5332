"""The scripts of `examples/` train, and their loss is the module's."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

from gaze_vlm import Box, FrameRegions, GazeRegularizer, GazeVLM, Spot
from gaze_vlm.backbones import Llava
from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.gaze.mixture import GazeMixture
from training_files import ROOT

EXAMPLES = ROOT / "examples"
SCRIPTS = ("torch_loop", "accelerate_loop", "transformers_trainer", "trl_sft")
SIDE_PX = 96  # of kitchen-llava, so that neither the processor nor the view resizes


def load(script: str) -> ModuleType:
    spec = spec_from_file_location(f"example_{script}", EXAMPLES / f"{script}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures of the examples at the size of the model."""
    folder = tmp_path_factory.mktemp("pictures")
    for picture in (EXAMPLES / "kitchen").glob("*.png"):
        Image.open(picture).resize((SIDE_PX, SIDE_PX)).save(folder / picture.name)
    (folder / "pictures.jsonl").write_bytes((EXAMPLES / "kitchen" / "pictures.jsonl").read_bytes())
    return folder


@pytest.fixture(scope="module")
def expected(data: Path) -> float:
    """The loss of `GazeVLM` on the same pictures: cross-entropy + λ · KL(attention ‖ gaze)."""
    clips = []
    for line in (data / "pictures.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        regions = [*(Spot(*xy) for xy in row["gaze"]), *(Box(*sides) for sides in row["boxes"])]
        clips.append(
            Clip(
                clip_id=row["image"],
                video_id="kitchen",
                session="kitchen",
                task="activity",
                frames=pil_to_tensor(Image.open(data / row["image"]))[None],
                frame_times_s=[1.0],
                gaze=GazeMixture(torch.zeros(1, 1, 2), torch.zeros(1, 1), 20 / 1088, 1.0),
                prompt=row["prompt"],
                target=row["answer"],
                verb=None,
                noun=None,
                same_action=True,
                future_starts_in_s=1.0,
                targets=FrameRegions([regions], 20 / 1088, 1.0),
            )
        )
    backbone = Llava("kitchen-llava", language_layers="all", train=("vision", "projector", "language"))
    backbone.load()
    module = GazeVLM(backbone, GazeRegularizer(weight=1.0), ratio_every_n_steps=0)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    strategy = SimpleNamespace(reduce=lambda here, reduce_op: here)
    module._trainer = SimpleNamespace(log_every_n_steps=1, world_size=1, strategy=strategy, global_step=0)  # type: ignore[assignment]
    return float(module.training_step(backbone.collator()(clips), 0).detach())


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[float]]:
    """Runs a script in a folder of its own; the loss of each step."""

    def train(script: str, data: Path | None = None, **options: Any) -> list[float]:
        module = load(script)
        monkeypatch.chdir(tmp_path)
        if data is not None:
            monkeypatch.setattr(module, "DATA", data)
        return module.main(**options)

    return train


# Of trainers without a GPU, and of TRL's on newer transformers.
@pytest.mark.filterwarnings("ignore:.*pin_memory", "ignore:.*is deprecated and will be removed in v6")
@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example_trains_on_the_modules_loss(
    script: str, data: Path, expected: float, trained: Callable[..., list[float]]
) -> None:
    if script == "trl_sft":
        pytest.importorskip("trl", reason="pip install 'gaze-vlm-lightning[dev]'")
    losses = trained(script, data, steps=3)
    assert losses[0] == pytest.approx(expected, rel=1e-6)
    assert len(losses) == 3
    assert losses[2] < losses[1] < losses[0]


def test_two_processes_train_as_one(trained: Callable[..., list[float]]) -> None:
    """Each reads all pictures, so that the mean of their gradients is that of one process."""
    command = [sys.executable, *"-m torch.distributed.run --standalone --nproc_per_node=2".split()]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [*command, str(EXAMPLES / "accelerate_loop.py")], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    losses = trained("accelerate_loop", steps=2)
    assert done.stdout.splitlines()[-1] == "losses: " + " ".join(f"{loss:.3f}" for loss in losses)


@pytest.mark.parametrize("script", [*SCRIPTS, "draw_kitchen"])
def test_an_example_is_short(script: str) -> None:
    assert len((EXAMPLES / f"{script}.py").read_text(encoding="utf-8").splitlines()) <= 60


def test_the_pictures_are_the_kitchens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = load("draw_kitchen")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    module.main()
    kept = EXAMPLES / "kitchen"
    assert (tmp_path / "pictures.jsonl").read_bytes() == (kept / "pictures.jsonl").read_bytes()
    for picture in kept.glob("*.png"):
        kept_pixels, pixels = (np.asarray(Image.open(one), int) for one in (picture, tmp_path / picture.name))
        assert abs(kept_pixels - pixels).max() <= 4  # versions of OpenCV round differently


def test_accumulated_batches_weigh_the_pull_once(
    data: Path, expected: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two batches of two pictures in one step: the pull is their mean, as the cross-entropy is."""
    module = load("transformers_trainer")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "DATA", data)
    options = module.TrainingArguments

    def halves(folder: str, per_device_train_batch_size: int, **more: Any) -> Any:
        return options(folder, per_device_train_batch_size=2, gradient_accumulation_steps=2, use_cpu=True, **more)

    monkeypatch.setattr(module, "TrainingArguments", halves)
    monkeypatch.setattr(module.GazeTrainer, "_get_train_sampler", lambda *_: None)  # in the order of the file
    assert module.main(steps=1)[0] == pytest.approx(expected, rel=1e-6)
