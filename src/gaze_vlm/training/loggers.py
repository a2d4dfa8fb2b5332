"""What a training logs to: metrics.csv always, and TensorBoard's files or the loggers of `trainer.logger` beside it."""

from collections.abc import Iterator
from typing import Any

import lightning as L
import numpy as np
from jaxtyping import UInt8
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import Logger

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.overlay import jpeg
from gaze_vlm.json_files import parse_object, write_json
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.event_files import EventFiles
from gaze_vlm.training.metrics_file import RunLogger

CONTINUED_BY = {"WandbLogger": "id", "MLFlowLogger": "run_id"}
"""Loggers that can continue a run of their service, and the option that names it."""


def loggers_of(run: RunDirectory, given: list[Logger] | Logger | bool | None) -> list[Logger]:
    """Return the loggers of a training; the first writes metrics.csv.

    Args:
        run: where it writes.
        given: the trainer's option: loggers beside metrics.csv. None is TensorBoard's event files, False is none.
    """
    if given is None or given is True:
        return [RunLogger(run.path), EventFiles(run.tensorboard)]
    beside = given if isinstance(given, list) else [given] if given else []
    return [RunLogger(run.path), *beside]


def name_known_runs(logger: Any, run: RunDirectory) -> None:
    """Let configured loggers continue their services' runs of a run directory.

    Args:
        logger: the trainer's option, parsed.
        run: has their ids, where it was logged to such a service.

    Raises:
        InputError: the file of the ids is damaged.
    """
    if run.logger_ids.is_file():
        fix = "delete it, which begins new runs there"
        ids = parse_object(run.logger_ids.read_bytes(), run.logger_ids, fix)
        for name, init_args in _services(logger):
            if not isinstance(known := ids.get(name), str | None):
                raise InputError(f"{run.logger_ids} is damaged ({name} is no id): {fix}")
            init_args[CONTINUED_BY[name]] = init_args.get(CONTINUED_BY[name]) or known


def forget_runs(logger: Any) -> None:
    """Take the ids out again, for a configuration that others may use."""
    for name, init_args in _services(logger):
        init_args[CONTINUED_BY[name]] = None


def _services(logger: Any) -> Iterator[tuple[str, Any]]:
    """Name and options of each configured logger that can continue a run."""
    for one in logger if isinstance(logger, list) else [logger]:
        name = str(getattr(one, "class_path", "")).rpartition(".")[2]
        if name in CONTINUED_BY:
            yield name, one.init_args


def takes_pictures(logger: Logger) -> bool:
    """Return whether `show_picture` can show a picture there."""
    return isinstance(logger, (EventFiles, TensorBoardLogger, WandbLogger, MLFlowLogger))


def show_picture(logger: Logger, name: str, picture: UInt8[np.ndarray, "y x 3"], caption: str, step: int) -> None:
    """Show an RGB picture with a caption, in Markdown, in a logger that takes pictures."""
    if isinstance(logger, EventFiles):
        logger.log_picture(name, jpeg(picture), picture.shape[:2], caption, step)
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image(name, picture, step, dataformats="HWC")
        logger.experiment.add_text(name, caption, step)
    elif isinstance(logger, WandbLogger):
        logger.log_image(name, [picture], step, caption=[caption])
    elif isinstance(logger, MLFlowLogger):
        file = f"{name}/step_{step:06d}"
        logger.experiment.log_image(logger.run_id, picture, f"{file}.jpg")
        logger.experiment.log_text(logger.run_id, caption, f"{file}.md")


class ContinuedLogs(Callback):
    """Let a resumed training continue its logs: TensorBoard's where it resumes, those of services in the same run.

    Args:
        run: gets the ids of the services' runs.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.file = run.logger_ids

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, EventFiles):
                logger.resume_at(trainer.global_step)
        if trainer.is_global_zero:
            named = [(type(logger).__name__, logger) for logger in trainer.loggers]
            ids = {name: logger.version for name, logger in named if name in CONTINUED_BY}
            if ids:
                write_json(self.file, ids)
