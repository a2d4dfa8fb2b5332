"""How fast a training is, and what it waits for: into throughput.csv, the loggers and the progress line."""

import csv
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.output import writing
from gaze_vlm.progress import say
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.flops import FlopCount, known_peak
from gaze_vlm.training.metrics_file import RunLogger

COLUMNS = ("step", "clips_per_s", "tokens_per_s", "data_wait", "mfu", "gpu_memory_gb", "seconds")


class StepClock:
    """Seconds of steps, and those among them in which the training waited for its loader.

    Where it waited while the clock was paused, as before the first batch after a validation, that counts too.
    """

    def __init__(self) -> None:
        self.seconds = self.waited_s = 0.0
        self.since: float | None = None  # time at which it was last looked at; None: paused
        self.loader: Any = None
        self.counted_s = 0.0  # of the loader's count, until now

    def go_on(self, loader: Any) -> None:
        """Run from now on, with a loader that counts the seconds in which it was waited for."""
        now = time.monotonic()
        if loader is not self.loader:
            self.loader, self.counted_s = loader, loader.waited_s
        waited_s = loader.waited_s - self.counted_s
        self.seconds += waited_s if self.since is None else now - self.since
        self.waited_s += waited_s
        self.since, self.counted_s = now, loader.waited_s

    def pause(self) -> None:
        """Stand still from now on."""
        if self.since is not None:
            self.go_on(self.loader)
            self.since = None

    def take(self) -> tuple[float, float]:
        """Return the seconds until now and those waited, and begin at 0."""
        if self.since is not None:
            self.go_on(self.loader)
        taken = self.seconds, self.waited_s
        self.seconds = self.waited_s = 0.0
        return taken


class ThroughputLog(Callback):
    """Measure the steps since the row before, every `log_every_n_steps`, in the first process.

    The clock is paused for validations, for checkpoints, and for the first step, which warms up. The device is waited
    for once a row. `metrics.csv` has none of it: a resumed training writes there what a whole one does.

    Args:
        run: gets `throughput.csv`, which a resumed training continues.
        peak_tflops: of a device at the training's precision; None is Lightning's figure, where it knows the device.
    """

    def __init__(self, run: RunDirectory, peak_tflops: float | None = None) -> None:
        self.file = run.throughput
        self.peak = None if peak_tflops is None else 1e12 * peak_tflops
        self.clock = StepClock()
        self.flops: int | None = None  # of a batch
        self.counting: FlopCount | None = None
        self.is_warm = False  # after the first step
        self.batches = self.clips = 0  # of the row
        self.tokens: Any = 0  # a tensor, so that no batch waits for it

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.peak is None and (known := known_peak(trainer.strategy.root_device, trainer.precision_plugin)):
            self.peak = float(known)
            if trainer.is_global_zero:
                say(f"MFU is of {known / 1e12:g} TFLOP/s, Lightning's figure for this device (run.peak_tflops)")

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        if not trainer.is_global_zero:
            return
        if self.is_to_count(trainer, pl_module, batch):
            self.clock.pause()
            self.counting = FlopCount()
            self.counting.__enter__()
        elif self.is_warm:
            self.clock.go_on(trainer.train_dataloader)

    def is_to_count(self, trainer: L.Trainer, module: Any, batch: Batch) -> bool:
        """Return whether the operations of this batch are counted: of one, in which no gradient ratio is measured."""
        every_n_steps = module.ratio_every_n_steps
        measures_ratio = batch.totals.position == 0 and every_n_steps and trainer.global_step % every_n_steps == 0
        return self.peak is not None and self.flops is None and not measures_ratio

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        ends_step = batch.totals.position == batch.totals.batches - 1
        self.is_warm |= ends_step
        if self.counting is not None:
            self.flops = self.stop_counting()
        elif self.clock.since is not None:
            self.batches += 1
            self.clips += len(batch)
            self.tokens = self.tokens + batch.inputs["attention_mask"].sum()
            every_n_steps: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
            if ends_step and every_n_steps and trainer.global_step % every_n_steps == 0:
                clips_per_s = self.write_row(trainer)
                pl_module.log("train/clips_per_s", clips_per_s, prog_bar=True, logger=False, batch_size=1)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.batches:
            self.write_row(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.clock.pause()

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.clock.pause()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if self.counting is not None:
            self.stop_counting()

    def stop_counting(self) -> int:
        """Count no more; return the operations."""
        assert self.counting is not None
        counted, self.counting = self.counting, None
        counted.__exit__(None, None, None)
        if counted.refused:
            say(f"no MFU is logged, for torch cannot count the operations of {counted.refused}")
            self.peak = None
        return counted.total

    def write_row(self, trainer: L.Trainer) -> float:
        """Write what was measured, and begin anew; return the clips in a second."""
        tokens, device = int(self.tokens), trainer.strategy.root_device  # waits for the device
        seconds, waited_s = self.clock.take()
        row = {
            "clips_per_s": trainer.world_size * self.clips / seconds,
            "tokens_per_s": trainer.world_size * tokens / seconds,
            "data_wait": waited_s / seconds,
        }
        if self.peak is not None and self.flops is not None:
            row["mfu"] = self.flops * self.batches / seconds / self.peak
        if device.type == "cuda":
            row["gpu_memory_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
        self.batches = self.clips = self.tokens = 0
        step = trainer.global_step - 1  # as in metrics.csv
        append_row(self.file, {"step": step, **row, "seconds": seconds})
        for logger in trainer.loggers:
            if not isinstance(logger, RunLogger):
                logger.log_metrics({f"throughput/{name}": value for name, value in row.items()}, step)
        return row["clips_per_s"]


def append_row(file: Path, row: dict[str, float]) -> None:
    """Append a row to a CSV, after a header where the file is new."""
    is_new = not file.exists()
    with writing(file), file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow({name: value if isinstance(value, int) else f"{value:.6g}" for name, value in row.items()})
