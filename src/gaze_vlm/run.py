"""The run directory: what a run leaves behind, and what `gaze-vlm compare` reads.

<dir>/config.yaml            the whole configuration of the training
<dir>/metrics.csv            what was logged, step by step
<dir>/checkpoints/best.ckpt  the parameters that learned, at the best validation score
<dir>/run.json               arm, seed, backbone, data set, λ, ε, number of training clips
<dir>/metrics.json           mean test scores of each task
<dir>/predictions.jsonl      one line a test sample
<dir>/also/<data set>/       the same three of a test on another data set, which a comparison asked for
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback

from gaze_vlm.metrics.scores import mean_scores
from gaze_vlm.module import GazeVLM


@dataclass
class RunOptions:
    """Where a run goes and what it is called.

    Args:
        dir: the run directory.
        arm: the row of a comparison that this run belongs to.
        dataset: name of the data set in tables.
        backbone: name of the backbone in tables.
        test_after_fit: test the best checkpoint as soon as the training ends.
    """

    dir: Path = Path("runs/default")
    arm: str = "gaze"
    dataset: str = "kitchen"
    backbone: str = "tiny-llava"
    test_after_fit: bool = False


def best_checkpoint(directory: Path) -> Path:
    """The checkpoint that a run's test takes."""
    return directory / "checkpoints" / "best.ckpt"


def checkpointing(directory: Path) -> ModelCheckpoint:
    """Keeps the state at the best validation score as `best.ckpt`."""
    return ModelCheckpoint(
        dirpath=best_checkpoint(directory).parent,
        filename=best_checkpoint(directory).stem,
        monitor="validation/score",
        mode="max",
        enable_version_counter=False,
    )


class SaveConfig(SaveConfigCallback):
    """Writes the configuration: the training's as config.yaml, that of another command beside it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # the signature is Lightning's
        super().__init__(*args, **{**kwargs, "save_to_log_dir": False})

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        directory = Path(self.config.run.dir)
        directory.mkdir(parents=True, exist_ok=True)
        name = "config.yaml" if stage == "fit" else f"{stage}.yaml"
        self.parser.save(self.config, directory / name, skip_none=False, overwrite=True, multifile=False)


class RunFiles(Callback):
    """Writes run.json, metrics.json and predictions.jsonl on the first process."""

    def __init__(self, options: RunOptions, seed: int) -> None:
        self.options = options
        self.seed = seed

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, GazeVLM)
        if trainer.is_global_zero:
            write_lines(self.options.dir / "predictions.jsonl", pl_module.rows)
            write_json(self.options.dir / "metrics.json", mean_scores(pl_module.rows))
            write_json(self.options.dir / "run.json", self.facts(trainer, pl_module))

    def facts(self, trainer: L.Trainer, module: GazeVLM) -> dict[str, Any]:
        """What the run was, for tables."""
        regularizer = module.regularizer
        return {
            "arm": self.options.arm,
            "seed": self.seed,
            "backbone": self.options.backbone,
            "dataset": self.options.dataset,
            "lambda": None if regularizer is None else float(regularizer.weight),
            "floor": None if regularizer is None else regularizer.floor,
            "train_clips": trainer.datamodule.clips_in("train"),  # type: ignore[attr-defined]
        }


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Readable JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows), encoding="utf-8")
