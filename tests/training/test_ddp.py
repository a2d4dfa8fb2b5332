"""Two processes train and test as one would, whole (DDP) or in shards (FSDP2), and count every sample once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backbone_families import FAMILIES
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.cli import main
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.runs.alignment import Alignment, read_alignment
from gaze_vlm.training.checkpoint_files import read_checkpoint
from gaze_vlm.training.configured import load_run
from killed_training import train
from training_files import arguments, logged

STEPS = 3
LAUNCHED = {  # by Lightning, which starts the second process itself, and by torchrun, which starts both
    "lightning": [sys.executable, "-m", "gaze_vlm"],
    "torchrun": [sys.executable, *"-m torch.distributed.run --standalone --nproc_per_node=2 -m gaze_vlm".split()],
}


def run(
    folder: Path, checkpoint: Path, store: Path, *more: str, launched: str | None = None
) -> tuple[dict, list[dict], dict[str, torch.Tensor], Alignment]:
    """Fit and test, here or launched; mean scores, rows, what was learned, and each head's alignment."""
    # Plain SGD: Adam would blow the rounding of near-zero gradients up to whole steps.
    sgd = folder.parent / f"{folder.name}-sgd.yaml"
    sgd.write_text("model: {optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.5}}}")
    options = [*arguments(folder, checkpoint, store, steps=STEPS), f"--config={sgd}"]
    options += ["--run.test_after_fit=true", *more]
    if launched is None:
        assert train(options, log := folder.parent / f"{folder.name}.txt") == [0], log.read_text()
    else:
        command = [*LAUNCHED[launched], "fit", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    state = read_checkpoint(folder / "checkpoints" / "best.ckpt")["state_dict"]
    return json.loads((folder / "metrics.json").read_text()), rows, state, read_alignment(folder / "alignment.json")


@pytest.fixture(scope="module")
def one(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("one")
    return folder, run(folder, tiny_llava, prepared, "--data.batch_size=4")


@pytest.mark.parametrize(
    ("strategy", "launched", "accumulated"),
    [
        pytest.param("ddp", "lightning", 2, id="ddp"),
        pytest.param("fsdp2", "torchrun", 1, id="fsdp2", marks=pytest.mark.cluster),
    ],
)
def test_two_processes_equal_one(  # type: ignore[no-untyped-def]
    one, tiny_llava: Path, prepared: Path, tmp_path: Path, strategy: str, launched: str, accumulated: int
) -> None:
    of_a_step = [f"--data.batch_size={2 // accumulated}", f"--trainer.accumulate_grad_batches={accumulated}"]
    options = ["--trainer.devices=2", f"--trainer.strategy={strategy}", *of_a_step]
    (folder, whole), two = one, run(tmp_path, tiny_llava, prepared, *options, launched=launched)
    loaded = load_run(tmp_path).model.state_dict()
    for name, value in whole[2].items():
        assert torch.allclose(value, two[2][name], atol=1e-5), name
        assert torch.equal(loaded[name], two[2][name]), name
    assert main(["export", f"--run={tmp_path}", f"--output={tmp_path / 'whole'}"]) == 0
    exported = load_backbone(str(tmp_path / "whole")).state_dict()
    trained = {name.removeprefix("backbone."): value for name, value in two[2].items()}
    assert trained.keys() & exported.keys()
    assert all(torch.equal(exported[name], trained[name]) for name in trained.keys() & exported.keys())
    keys = [[(row["clip_id"], row["task"]) for row in rows] for rows in (whole[1], two[1])]
    assert keys[0] == keys[1]
    assert len(set(keys[1])) == len(keys[1])
    for task, means in whole[0].items():
        for name, value in means.items():
            assert two[0][task][name] == pytest.approx(value, abs=1e-4), (task, name)
    assert whole[3].frames == two[3].frames
    for name, values in whole[3].scores.items():
        assert two[3].scores[name] == pytest.approx(values, abs=1e-4), name
    for name in ("train/cross_entropy", "train/divergence"):
        assert logged(tmp_path, name) == pytest.approx(logged(folder, name), rel=1e-5), name


@pytest.mark.parametrize("steps", [2, pytest.param(20, marks=pytest.mark.cluster)])
def test_every_family_trains_in_two_processes(tmp_path: Path, steps: int) -> None:
    """With all parts learning: losses, λ and scores are those of one process, under DDP and under FSDP2."""
    for family in FAMILIES:
        save_checkpoint(*family.build(), tmp_path / family.name)
    command = [sys.executable, Path(__file__).parents[1] / "distributed_families.py", tmp_path, str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [family.name for family in FAMILIES]
