"""What a training cost: seconds, parameters, processes and device, in `training.json`."""

import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn

from gaze_vlm.backbones.parts import count_numbers
from gaze_vlm.cores import processor_name
from gaze_vlm.json_files import damage_refused, member, parse_object, write_json
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.callbacks import in_training
from gaze_vlm.training.module import GazeVLM


class TrainingFacts(Callback):
    """Write `training.json` with every checkpoint and at the end.

    `train_seconds` is time of the steps, without validation and what comes before the first step; a resumed training
    counts on. Steps that a resumed training makes again count again: they took their time.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.seconds, self.resumes = 0.0, 0
        self.since: float | None = None  # time at which the steps under way began; None between them

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.ckpt_path is not None and self.run.cost.is_file():
            self.seconds, self.resumes = read_cost(self.run)
            self.resumes += 1
        self.since = time.monotonic()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._stop()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if in_training(trainer):
            self.since = time.monotonic()

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._write(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer, pl_module)
        self.since = None

    def _stop(self) -> None:
        if self.since is not None:
            self.seconds += time.monotonic() - self.since
            self.since = None

    def _write(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, GazeVLM)
        if self.since is not None:
            self._stop()
            self.since = time.monotonic()
        if trainer.is_global_zero:
            device = trainer.strategy.root_device
            facts = {
                "train_seconds": round(self.seconds, 3),
                "resumes": self.resumes,
                **count_parameters(module.backbone),
                "processes": trainer.world_size,
                "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
            }
            write_json(self.run.cost, facts)


def read_cost(run: RunDirectory) -> tuple[float, int]:
    """Return how many seconds a run's steps took until now, and how often it resumed.

    Raises:
        InputError: the file is damaged.
    """
    fix = "delete it, which forgets how long the training took until now"
    facts = parse_object(run.cost.read_bytes(), run.cost, fix)
    with damage_refused(run.cost, fix):
        return float(member(facts, "train_seconds", float)), member(facts, "resumes", int)


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Count all parameters and the trainable ones."""
    return {
        "trainable_parameters": count_numbers(one for one in model.parameters() if one.requires_grad),
        "parameters": count_numbers(model.parameters()),
    }
