"""Two processes train and test as one would, and count every sample once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backbone_families import FAMILIES
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.runs.alignment import Alignment, read_alignment
from training_files import arguments

STEPS = 3
TWO = ("--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=1", "--trainer.accumulate_grad_batches=2")


def run(
    folder: Path, checkpoint: Path, store: Path, *more: str
) -> tuple[dict, list[dict], dict[str, torch.Tensor], Alignment]:
    """Fit and test in fresh processes; mean scores, rows, what was learned, and each head's alignment."""
    # Plain SGD: Adam would blow the rounding of near-zero gradients up to whole steps.
    sgd = folder.parent / f"{folder.name}-sgd.yaml"
    sgd.write_text("model: {optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.5}}}")
    options = [*arguments(folder, checkpoint, store, steps=STEPS), f"--config={sgd}"]
    command = [sys.executable, "-m", "gaze_vlm", "fit", *options, "--run.test_after_fit=true", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    state = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    return json.loads((folder / "metrics.json").read_text()), rows, state, read_alignment(folder / "alignment.json")


@pytest.fixture(scope="module")
def one(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    return run(tmp_path_factory.mktemp("one"), tiny_llava, prepared, "--data.batch_size=4")


def test_two_processes_equal_one(one, tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    two = run(tmp_path, tiny_llava, prepared, *TWO)
    for name, value in one[2].items():
        assert torch.allclose(value, two[2][name], atol=1e-5), name
    keys = [[(row["clip_id"], row["task"]) for row in rows] for rows in (one[1], two[1])]
    assert keys[0] == keys[1]
    assert len(set(keys[1])) == len(keys[1])
    for task, means in one[0].items():
        for name, value in means.items():
            assert two[0][task][name] == pytest.approx(value, abs=1e-4), (task, name)
    assert one[3].frames == two[3].frames
    for name, values in one[3].scores.items():
        assert two[3].scores[name] == pytest.approx(values, abs=1e-4), name


def test_every_family_trains_in_two_processes(tmp_path: Path) -> None:
    """With all parts learning and without `find_unused_parameters`, as `strategy: ddp` has it."""
    for family in FAMILIES:
        save_checkpoint(*family.build(), tmp_path / family.name)
    command = [sys.executable, Path(__file__).parents[1] / "ddp_families.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [family.name for family in FAMILIES]
