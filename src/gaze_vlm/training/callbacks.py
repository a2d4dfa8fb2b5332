"""Callbacks of a training: the best checkpoint, when to validate, what a step draws, progress, missing gradients."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from gaze_vlm.errors import InputError, first_of
from gaze_vlm.output import kept
from gaze_vlm.progress import Lines, say
from gaze_vlm.runs.directory import RunDirectory

INTERVAL_S = 60.0  # between lines of a training


class BestCheckpoint(ModelCheckpoint):
    """Keeps its best score where the run directory was moved or copied, or has another path on this machine.

    Lightning's own forgets it, and the next validation replaces a better checkpoint.
    """

    @property
    def state_key(self) -> str:
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        here = Path(str(self.dirpath), f"{self.filename}{self.FILE_EXTENSION}")
        if state_dict["best_model_path"] and kept(here).exists():
            best, score = str(here), state_dict["best_model_score"]
            of_here = {"dirpath": self.dirpath, "best_model_path": best, "kth_best_model_path": best}
            state_dict = {**state_dict, **of_here, "best_k_models": {best: score}}
        super().load_state_dict(state_dict)


def best_checkpoint(run: RunDirectory) -> BestCheckpoint:
    """Keep the state at the best validation score as `best.ckpt`."""
    return BestCheckpoint(
        dirpath=run.checkpoints,
        filename=run.best.stem,
        monitor="validation/score",
        mode="max",
        enable_version_counter=False,
    )


def counted_in_batches(every_n_steps: int | None, trainer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the trainer's options to validate every so many optimiser steps.

    Lightning counts batches.

    Args:
        every_n_steps: None leaves the trainer's options as they are, by default once an epoch.
        trainer: its options.
    """
    if every_n_steps is None:
        return {}
    batches = every_n_steps * (trainer.get("accumulate_grad_batches") or 1)
    return {"val_check_interval": batches, "check_val_every_n_epoch": None}


class FinalValidation(Callback):
    """Make the trainer validate after the last step, whatever the interval.

    The best checkpoint needs it.
    """

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if is_last_step(trainer):
            trainer.check_val_every_n_epoch = None  # count the batches of all epochs
            trainer.val_check_batch = trainer.fit_loop.total_batch_idx + 1


def in_training(trainer: L.Trainer) -> bool:
    """Return whether the trainer trains, or validates within a training."""
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking


def is_last_step(trainer: L.Trainer) -> bool:
    """Return whether the training ends with the batch that was just trained on."""
    last_epoch = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
    return trainer.global_step == trainer.max_steps or last_epoch


def over_processes(trainer: L.Trainer, value: int, reduce_op: str) -> int:
    """Return the `sum` or `max` of a number over all processes; they must all ask."""
    if trainer.world_size == 1:
        return value
    of_all = torch.tensor(float(value), device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(of_all, reduce_op=reduce_op))


class SeedOfBatch(Callback):
    """Seed what a batch draws, such as dropout, by the run's seed, the step, its place in it and the process.

    It is the same whatever was drawn before: after a validation, and where a training resumes.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        # Where there is no GPU, `torch.manual_seed` writes down the whole stack each time, and asking whether there is
        # one takes as long: each a hundredth of a small step.
        self.generators: Any = torch if torch.accelerator.is_available() else torch.default_generator

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        of_batch = [self.seed, trainer.global_step, batch.totals.position, trainer.global_rank]
        seed = int(np.random.SeedSequence(of_batch).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # the one that libraries draw from
        self.generators.manual_seed(seed)


class GradientCheck(Callback):
    """Refuse a trainable parameter without a gradient in the first backward pass.

    It would never move, and processes that train together would wait for it.
    """

    def __init__(self) -> None:
        self.checked = False

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.checked:
            return
        self.checked = True
        without = [name for name, p in pl_module.named_parameters() if p.requires_grad and p.grad is None]
        if without:
            raise InputError(
                f"{len(without)} trainable parameters get no gradient, such as {first_of(without)}: "
                "the loss does not depend on them. Take their part out of `train` and `lora`, or name them in the "
                "backbone's unused_parameters()"
            )


class PlainProgress(Callback):
    """Lines instead of a bar, where there is no terminal: how far, time left, losses that were measured since."""

    steps: Lines  # of the training
    batches: Lines  # of the validation, test or prediction under way

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        steps = trainer.estimated_stepping_batches
        self.steps = Lines("training", steps, trainer.global_step, interval_s=INTERVAL_S)
        self.losses: dict[str, float] = {}

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        line = self.steps.reach(trainer.global_step)
        if line is not None and trainer.is_global_zero:
            of_run = trainer.callback_metrics
            losses = {name: float(value) for name, value in of_run.items() if name.startswith("train/")}
            fresh = losses if losses != self.losses else {}
            say(line + "".join(f"  {name.removeprefix('train/')} {value:.3f}" for name, value in fresh.items()))
            self.losses = losses

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches = Lines("validating", sum(trainer.num_val_batches), share=1.0)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches = Lines("testing", sum(trainer.num_test_batches))

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches = Lines("answering", sum(trainer.num_predict_batches))

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any, **__: Any) -> None:
        line = self.batches.advance()
        if trainer.is_global_zero and not trainer.sanity_checking:
            say(line)

    on_test_batch_end = on_predict_batch_end = on_validation_batch_end
