"""The run directory: what a run leaves behind, and what `gaze-vlm compare` reads. No command writes another's files.

<dir>/config.yaml            `fit`: the whole configuration of the training
<dir>/metrics.csv            `fit`: what was logged, step by step
<dir>/state.json             `fit`: running, finished, interrupted or failed
<dir>/checkpoints/best.ckpt  `fit`: the trained parameters, at the best validation score; its digest in best.ckpt.sha256
<dir>/checkpoints/last.ckpt  `fit`: what a stopped training resumes from
<dir>/run.json               `test`: arm, seed, backbone, data set, λ, ε, number of training clips
<dir>/metrics.json           `test`: mean scores of each task
<dir>/predictions.jsonl      `test`: one line a sample
<dir>/validation/            `validate`: metrics.json and predictions.jsonl of the validation clips
<dir>/answers.jsonl          `predict`: one line a sample, without target and scores
<dir>/<command>.yaml         `validate`, `test` and `predict`: their configuration
<dir>/also/<data set>/       the files of a `test` on another data set, which a comparison asked for

Where not all samples were scored (`--trainer.limit_test_batches`), metrics.json has an entry `limited`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn

from gaze_vlm.metrics.scores import mean_scores
from gaze_vlm.output import writing
from gaze_vlm.ranges import at_least
from gaze_vlm.training.module import GazeVLM, Row

LIMITED = "limited"
"""Entry of metrics.json where not all samples were scored: `samples` that were, `of` so many."""


@dataclass
class RunOptions:
    """Where a run goes and what it is called.

    Args:
        dir: the run directory.
        arm: the row of a comparison that this run belongs to.
        dataset: name of the data set in tables.
        backbone: name of the backbone in tables.
        test_after_fit: test the best checkpoint as soon as the training ends.
        save_every_minutes: minutes of training between two `last.ckpt`, which a stopped training resumes from.
        overwrite: delete the run that the directory holds; without it, `fit` refuses a used directory.
    """

    dir: Path = Path("runs/default")
    arm: str = "gaze"
    dataset: str = "kitchen"
    backbone: str = "tiny-llava"
    test_after_fit: bool = False
    save_every_minutes: float = 10.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        at_least(0, save_every_minutes=self.save_every_minutes)


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
        name = "config.yaml" if stage == TrainerFn.FITTING else f"{TrainerFn(stage).value}.yaml"
        # Whoever uses the file again means neither to delete the run nor to resume it.
        config = self.config.clone()
        config.run.overwrite = False
        if "ckpt_path" in config:
            config.ckpt_path = None
        self.parser.save(config, directory / name, skip_none=False, overwrite=True, multifile=False)


class RunFiles(Callback):
    """Writes what `test`, `validate` and `predict` found, on the first process."""

    def __init__(self, options: RunOptions, seed: int) -> None:
        self.options = options
        self.seed = seed

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, GazeVLM)
        if trainer.is_global_zero:
            write_scores(self.options.dir, pl_module.rows, samples(trainer.test_dataloaders))
            write_json(self.options.dir / "run.json", self.facts(trainer, pl_module))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, GazeVLM)
        if trainer.is_global_zero and trainer.state.fn == TrainerFn.VALIDATING:  # not one of a training's
            write_scores(self.options.dir / "validation", pl_module.rows, samples(trainer.val_dataloaders))

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, GazeVLM)
        if trainer.is_global_zero:
            write_lines(self.options.dir / "answers.jsonl", pl_module.rows)

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


def samples(loader: Any) -> int:
    """Number of samples that a `DataLoader` serves in all processes together."""
    return len(loader.dataset)


def write_scores(directory: Path, rows: list[Row], of_samples: int) -> None:
    """Write predictions.jsonl and metrics.json; the latter says so where not all of the samples were scored."""
    limited = {} if len(rows) == of_samples else {LIMITED: {"samples": len(rows), "of": of_samples}}
    write_lines(directory / "predictions.jsonl", rows)
    write_json(directory / "metrics.json", {**mean_scores(rows), **limited})


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Readable JSON."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """JSON Lines."""
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
