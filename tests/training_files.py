"""A whole small run, as a user would type it."""

import csv
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from gaze_vlm.cli import main
from gaze_vlm.training.resuming import LastCheckpoint

ROOT = Path(__file__).parents[1]
ARMS = ROOT / "lightning_configs" / "arms"


def arguments(run: Path, checkpoint: Path, store: Path, arm: str = "gaze", steps: int = 3) -> list[str]:
    """Options of the kitchen's main config, cut down to a few steps on a tiny checkpoint."""
    return [
        f"--config={ROOT / 'lightning_configs' / 'kitchen' / 'gaze.yaml'}",
        f"--config={ARMS / f'{arm}.yaml'}",
        f"--run.dir={run}",
        f"--model.backbone.init_args.checkpoint={checkpoint}",
        f"--data.store={store}",
        f"--data.features={run.parent / 'features'}",
        "--data.batch_size=2",
        "--data.train_clips=null",
        f"--trainer.max_steps={steps}",
        f"--validate_every_n_steps={steps}",
        "--trainer.log_every_n_steps=1",
        "--model.ratio_every_n_steps=2",
    ]


def fit(run: Path, checkpoint: Path, store: Path, *more: str, arm: str = "gaze", steps: int = 3) -> Path:
    """Train, and test the best checkpoint; the run directory."""
    options = [*arguments(run, checkpoint, store, arm, steps), *more]
    assert main(["fit", *options]) == 0
    assert main(["test", *options, f"--ckpt_path={run / 'checkpoints' / 'best.ckpt'}"]) == 0
    return run


def learned(run: Path) -> dict[str, torch.Tensor]:
    """The trainable parameters of a run's best checkpoint."""
    return torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]


def logged(run: Path, name: str) -> list[float]:
    """What a run logged under a name."""
    with (run / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


def logged_rows(run: Path) -> int:
    """How many rows a run has logged by now."""
    file = run / "metrics.csv"
    return len(file.read_text().splitlines()) - 1 if file.is_file() else 0


def steps_logged(run: Path) -> list[int]:
    """The steps of which a run logged losses."""
    with (run / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["train/cross_entropy"]]


def error_of(capsys: pytest.CaptureFixture) -> str:
    """The last line that was printed as an error."""
    return capsys.readouterr().err.strip().splitlines()[-1]


def signal_at(
    monkeypatch: pytest.MonkeyPatch, number: int, step: int, hook: str = "on_train_batch_end", times: int = 1
) -> None:
    """Let this process get a signal at a step, once."""
    original = getattr(LastCheckpoint, hook)
    sent: list[int] = []

    def send(self: LastCheckpoint, trainer: Any, module: Any, *rest: Any) -> None:
        if trainer.global_step == step and not trainer.sanity_checking and not sent:
            for _ in range(times):
                sent.append(number)
                os.kill(os.getpid(), number)
                time.sleep(0.01)  # until Python runs the handler
        original(self, trainer, module, *rest)

    monkeypatch.setattr(LastCheckpoint, hook, send)
