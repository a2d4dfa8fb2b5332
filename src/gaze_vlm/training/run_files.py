"""What a run writes into its directory beside checkpoints: its configuration and the results of a test."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn

from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.json_files import parse_object, write_json
from gaze_vlm.output import write_atomically
from gaze_vlm.ranges import above_zero, at_least
from gaze_vlm.runs.alignment import write_alignment
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.runs.prediction import mean_scores, write_lines
from gaze_vlm.training.loggers import forget_runs
from gaze_vlm.training.metrics_file import RunLogger
from gaze_vlm.training.module import GazeVLM


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
        shown_samples: validation clips that are shown at each validation, with the answer, and attention beside gaze,
            in the loggers that take pictures; 0 none.
        stalled_after_minutes: minutes without a batch after which every process writes to the log what its threads are
            doing; null never.
        peak_tflops: dense operations that a device can do in a second at the training's precision, in 10¹², for the
            MFU; null is Lightning's figure, where it knows the device.
        overwrite: delete the run that the directory holds; without it, `fit` refuses a used directory.
    """

    dir: Path = Path("runs/default")
    arm: str = "gaze"
    dataset: str = "kitchen"
    backbone: str = "tiny-llava"
    test_after_fit: bool = False
    save_every_minutes: float = 10.0
    shown_samples: int = 4
    stalled_after_minutes: float | None = 30.0
    peak_tflops: float | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        at_least(0, save_every_minutes=self.save_every_minutes, shown_samples=self.shown_samples)
        above_zero(stalled_after_minutes=self.stalled_after_minutes, peak_tflops=self.peak_tflops)


class SaveConfig(SaveConfigCallback):
    """Write the configuration: config.yaml of a training, another name elsewhere."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # the signature is Lightning's
        super().__init__(*args, **{**kwargs, "save_to_log_dir": False})

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == TrainerFn.FITTING and self.config.ckpt_path is None:
            self.log_config(trainer)
        run = RunDirectory(Path(self.config.run.dir))
        run.path.mkdir(parents=True, exist_ok=True)
        file = run.config if stage == TrainerFn.FITTING else run.path / f"{TrainerFn(stage).value}.yaml"
        # Whoever uses the file again means neither to delete the run nor to resume it.
        config = self.config.clone()
        config.run.overwrite = False
        if "ckpt_path" in config:
            config.ckpt_path = None
        forget_runs(config.trainer.logger)
        write_atomically(file, self.parser.dump(config, skip_none=False))

    def log_config(self, trainer: L.Trainer) -> None:
        """Show the configuration where the loggers have a place for it."""
        if loggers := [logger for logger in trainer.loggers if not isinstance(logger, RunLogger)]:
            config = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
            for logger in loggers:
                logger.log_hyperparams(config)


class RunFiles(Callback):
    """Write what `test`, `validate` and `predict` found, on the first process."""

    def __init__(self, options: RunOptions, seed: int, data: ClipDataModule) -> None:
        self.options = options
        self.run = RunDirectory(options.dir)
        self.seed = seed
        self.data = data

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, GazeVLM)
        if trainer.is_global_zero:
            write_scores(self.run, pl_module, trainer.test_dataloaders)
            write_json(self.run.facts, self.facts(pl_module))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, GazeVLM)
        if trainer.is_global_zero and trainer.state.fn == TrainerFn.VALIDATING:  # not one of a training's
            write_scores(RunDirectory(self.run.validation), pl_module, trainer.val_dataloaders)

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, GazeVLM)
        if trainer.is_global_zero:
            write_lines(self.run.answers, pl_module.answers)

    def facts(self, module: GazeVLM) -> dict[str, Any]:
        """Return what the run was, for tables."""
        regularizer = module.regularizer
        return {
            "arm": self.options.arm,
            "seed": self.seed,
            "backbone": self.options.backbone,
            "dataset": self.options.dataset,
            "lambda": None if regularizer is None else float(regularizer.weight),  # where a calibration ended
            "floor": None if regularizer is None else regularizer.floor,
            "train_clips": self.data.clips_in("train"),
            "sees_gaze_at_test": self.data.sees_gaze_at_test,
            **self.cost(),
        }

    def cost(self) -> dict[str, Any]:
        """Return what the training cost; nothing of a run of before, or tested elsewhere."""
        file = self.run.cost
        return parse_object(file.read_bytes(), file, "delete it") if file.is_file() else {}


def write_scores(run: RunDirectory, module: GazeVLM, loader: Any) -> None:
    """Write predictions.jsonl, metrics.json, and alignment.json where there is attention and gaze.

    `limited` in metrics.json says that samples of the loader were left out.
    """
    assert module.evaluation is not None
    predictions, served = module.evaluation.predictions, len(loader.dataset)
    limited = {} if len(predictions) == served else {"limited": {"samples": len(predictions), "of": served}}
    write_lines(run.predictions, (one.row() for one in predictions))
    write_json(run.scores, {**mean_scores(predictions), **limited})
    run.alignment.unlink(missing_ok=True)  # of an earlier test
    if module.evaluation.alignment is not None:
        write_alignment(run.alignment, module.evaluation.alignment)
