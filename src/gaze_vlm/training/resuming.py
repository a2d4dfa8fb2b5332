"""What a stopped training resumes from: `last.ckpt`."""

import signal
import threading
import time
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gaze_vlm.command_line.commands import how_to_resume
from gaze_vlm.command_line.stopping import TERMINATED
from gaze_vlm.datamodules.loader_deaths import STOPPING
from gaze_vlm.progress import say
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.callbacks import in_training, is_last_step, over_processes
from gaze_vlm.training.checkpoint_files import CheckpointFiles
from gaze_vlm.training.metrics_file import RunLogger

LOGGED_ROWS = "logged_rows"
"""Key of a checkpoint: how many rows `metrics.csv` had when it was saved."""


class LastCheckpoint(Callback):
    """Write `last.ckpt` at intervals, before a validation, at the end, on a signal.

    The signals are `STOPPING`; a second one stops at once. It is written after whole optimiser steps alone, on
    all processes at the same one. A training that resumes from it does what the whole one would have done, however the
    first ended. A validation that was stopped is repeated; that of the last step with some of the steps before.

    Args:
        run: where it is written.
        interval_s: seconds between two; what a crash may cost.
        files: writes it.
    """

    def __init__(self, run: RunDirectory, interval_s: float, files: CheckpointFiles) -> None:
        self.run = run
        self.interval_s = interval_s
        self.files = files
        self.received: int = 0  # the signal
        self.stopping: int = 0  # the signal that all processes stop for
        self.handlers: dict[int, Any] = {}
        self.saved_at = 0.0
        self.seen_step = 0
        self.logger: RunLogger | None = None
        self.resumed_rows = 0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.logger = next((one for one in trainer.loggers if isinstance(one, RunLogger)), None)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[LOGGED_ROWS] = 0 if self.logger is None else self.logger.rows

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.resumed_rows = checkpoint[LOGGED_ROWS]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.saved_at, self.seen_step = time.monotonic(), trainer.global_step
        if self.logger is not None and trainer.is_global_zero:
            self.logger.experiment.keep(self.resumed_rows)
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                self.handlers[number] = signal.signal(number, self.receive)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; a second one stops at once."""
        if self.received:
            raise KeyboardInterrupt
        self.received = number
        say("stopping after this step; once more stops at once")

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if trainer.global_step == self.seen_step:  # the batches of a step that is not made yet
            return
        self.seen_step = trainer.global_step
        self.files.wait(until_written=False)
        self.stopping = over_processes(trainer, self.received, "max")
        due = over_processes(trainer, int(time.monotonic() - self.saved_at >= self.interval_s), "max")
        if (self.stopping or due) and not validates_now(trainer):  # Lightning would leave the validation out
            self.save(trainer)

    # Other callbacks and loggers have the step first, so the training stops at the start of the next batch.

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.stop(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.stop(trainer)

    def on_validation_batch_start(self, trainer: L.Trainer, module: Any, batch: Any, batch_idx: int, *_: Any) -> None:
        if not in_training(trainer) or batch_idx > 0:
            return
        if not is_last_step(trainer):
            # Lightning repeats a validation whose checkpoint was written while a batch was under way.
            progress: Any = trainer.fit_loop.epoch_loop.val_loop.batch_progress
            progress.total.reset_on_restart()  # of one that is repeated, it goes on to count the batch of before
            progress.total.ready += 1
            progress.increment_started()
            self.save(trainer)
            progress.total.started -= 1
            progress.current.started -= 1
        self.stop(trainer)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any, **__: Any) -> None:
        if in_training(trainer):
            self.stopping = over_processes(trainer, self.received, "max")
            self.stop(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.save(trainer)
        self.finish(trainer)
        self.restore_handlers()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self.restore_handlers()

    def save(self, trainer: L.Trainer) -> None:
        """Begin to write `last.ckpt`; what was logged until it is on disk before."""
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.run.last, weights_only=False)
        self.saved_at = time.monotonic()

    def finish(self, trainer: L.Trainer) -> None:
        """Wait, in all processes, until the checkpoints are on disk."""
        self.files.wait()
        trainer.strategy.barrier()

    def stop(self, trainer: L.Trainer) -> None:
        """Stop as a signal asks; say how to resume."""
        if not self.stopping:
            return
        self.finish(trainer)
        if trainer.is_global_zero:
            say(f"stopped at step {trainer.global_step}; {how_to_resume(self.run)}")
        if self.stopping == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(TERMINATED)

    def restore_handlers(self) -> None:
        """Leave signals to whom they belonged before."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}


def validates_now(trainer: L.Trainer) -> bool:
    """Return whether a validation follows the batch that was just trained on."""
    loop = trainer.fit_loop
    assert loop._data_fetcher is not None
    return loop.epoch_loop._should_check_val_fx(loop._data_fetcher)
