"""A whole small run, as a user would type it."""

import csv
from pathlib import Path

import torch

from gaze_vlm.cli import main

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
