"""What a training logs to: metrics.csv always, and TensorBoard's files or the loggers of `trainer.logger` beside it."""

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import Logger

from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.event_files import EventFiles
from gaze_vlm.training.metrics_file import RunLogger


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


class ContinuedLogs(Callback):
    """Let a resumed training continue its logs where it resumes."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, EventFiles):
                logger.resume_at(trainer.global_step)
