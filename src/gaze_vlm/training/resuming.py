"""What a stopped training resumes from: `last.ckpt`, and the lines of `metrics.csv`."""

import csv
import os
import signal
import threading
import time
from math import ceil, isfinite
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.fabric.loggers.csv_logs import _ExperimentWriter
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.trainer.states import TrainerFn

from gaze_vlm.command_line.commands import resume_command
from gaze_vlm.output import write_csv
from gaze_vlm.progress import say
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.callbacks import is_last_step

TERMINATED = 128 + signal.SIGTERM  # exit status, as the shell has it


class LastCheckpoint(Callback):
    """Write `last.ckpt` at intervals, before a validation, at the end, on a signal.

    The signals are SIGINT and SIGTERM. It is written after whole optimiser steps alone, on all processes at the same
    one. A validation that was stopped is repeated on resuming; that of the last step with some of the steps before. A
    second signal stops at once.

    Args:
        run: where it is written.
        interval_s: seconds between two; what a crash may cost.
    """

    def __init__(self, run: RunDirectory, interval_s: float) -> None:
        self.run = run
        self.interval_s = interval_s
        self.received: int = 0  # the signal
        self.stopping: int = 0  # the signal that all processes stop for
        self.handlers: dict[int, Any] = {}
        self.saved_at = 0.0
        self.seen_step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.saved_at, self.seen_step = time.monotonic(), trainer.global_step
        if isinstance(trainer.logger, RunLogger) and trainer.is_global_zero:
            trainer.logger.experiment.keep_until(trainer.global_step)
        if trainer.ckpt_path is not None and within_epoch(trainer) and trainer.is_global_zero:
            say("resuming within an epoch: its remaining batches are drawn anew (docs/runs.md)")
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
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
        self.stopping = self.agreed(trainer, self.received)
        due = self.agreed(trainer, int(time.monotonic() - self.saved_at >= self.interval_s))
        if (self.stopping or due) and not is_last_step(trainer):  # its validation would not be repeated
            self.save(trainer)

    # A step is logged after `on_train_batch_end`, so the training stops at the start of the next batch.

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.stop(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.stop(trainer)

    def on_validation_batch_start(self, trainer: L.Trainer, module: Any, batch: Any, batch_idx: int, *_: Any) -> None:
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or batch_idx > 0:
            return
        if not is_last_step(trainer):
            # Lightning repeats a validation whose checkpoint was written while a batch was under way.
            progress: Any = trainer.fit_loop.epoch_loop.val_loop.batch_progress
            progress.increment_started()
            self.save(trainer)
            progress.total.started -= 1
            progress.current.started -= 1
        self.stop(trainer)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any, **__: Any) -> None:
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self.stopping = self.agreed(trainer, self.received)
            self.stop(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.save(trainer)
        self.restore_handlers()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self.restore_handlers()

    def agreed(self, trainer: L.Trainer, value: int) -> int:
        """Return the greatest value of all processes."""
        if trainer.world_size == 1:
            return value
        of_all = torch.tensor(float(value), device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(of_all, reduce_op="max"))

    def save(self, trainer: L.Trainer) -> None:
        """Write `last.ckpt`, and what was logged until it."""
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.run.last, weights_only=False)
        self.saved_at = time.monotonic()

    def stop(self, trainer: L.Trainer) -> None:
        """Stop as a signal asks; say how to resume."""
        if not self.stopping:
            return
        if trainer.is_global_zero:
            there = self.run.last.is_file()
            how = f"resume with: {resume_command(self.run)}" if there else "too early to resume: begin anew"
            say(f"stopped at step {trainer.global_step}; {how}")
        if self.stopping == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(TERMINATED)

    def restore_handlers(self) -> None:
        """Leave signals to whom they belonged before."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}


class RunLogger(CSVLogger):
    """`metrics.csv` of a run, which a resumed training continues.

    Lightning's own logger would delete it.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, name="", version="")

    @property
    @rank_zero_experiment
    def experiment(self) -> "MetricsFile":
        """Writes the file."""
        if self._experiment is None:
            os.makedirs(self.root_dir, exist_ok=True)  # noqa: PTH103
            self._experiment = MetricsFile(self.log_dir)
        assert isinstance(self._experiment, MetricsFile)
        return self._experiment


class MetricsFile(_ExperimentWriter):
    """Lightning's writer, over a file that may hold lines."""

    def _check_log_dir_exists(self) -> None:
        """Leave the file: Lightning's deletes it."""

    def keep_until(self, step: int) -> None:
        """Drop lines of a step and later, which a resumed training writes again."""
        file = Path(self.metrics_file_path)
        if not file.is_file():
            return
        with file.open(newline="", encoding="utf-8") as stream:
            lines = [line for line in csv.DictReader(stream) if int(line["step"]) < step]
        self.metrics_keys = list(lines[0]) if lines else []
        if not lines:
            file.unlink()
            return
        write_csv(file, self.metrics_keys, (line.values() for line in lines), line_end="\r\n")  # as Lightning's


def within_epoch(trainer: L.Trainer) -> bool:
    """Return whether the steps until now end within an epoch."""
    batches = trainer.num_training_batches
    return bool(isfinite(batches) and trainer.global_step % ceil(batches / trainer.accumulate_grad_batches))
