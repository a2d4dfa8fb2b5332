"""Checks of the trainer's options."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import lightning as L
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from gaze_vlm.errors import InputError
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.ranges import at_least
from gaze_vlm.suggestions import did_you_mean
from gaze_vlm.training.checks.problem import Problem, Training, number_of_devices, refusals

PLAIN = (  # which a trainer checks by itself, wherever it runs
    "min_epochs",
    "max_epochs",
    "min_steps",
    "max_steps",
    "max_time",
    "limit_train_batches",
    "limit_val_batches",
    "limit_test_batches",
    "overfit_batches",
    "gradient_clip_algorithm",
    "check_val_every_n_epoch",
    "reload_dataloaders_every_n_epochs",
    "fast_dev_run",
)
TRAIN_VALUES = ("cross_entropy", "divergence", "lambda", "valid_frames", "gradient_ratio")
LEAST = {
    "accumulate_grad_batches": 1,
    "num_nodes": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
    "num_sanity_val_steps": -1,
}


def trainer_options(training: Training) -> Iterable[Problem]:
    """Check what Lightning's trainer would refuse, and what it should.

    By a largest gradient norm below 0 it would scale gradients to point the other way.
    """
    trainer = training.trainer
    yield from refusals(partial(at_least_of_trainer, trainer))
    for option, known in (
        ("accelerator", ["auto", "gpu", *AcceleratorRegistry.available_accelerators()]),
        ("strategy", ["auto", *StrategyRegistry.available_strategies()]),
    ):
        if isinstance(given := trainer.get(option), str) and given not in known:
            yield Problem(
                f"trainer.{option} is {given!r}; choose one of {', '.join(sorted(known))}{did_you_mean(given, known)}"
            )
    yield from refusals(partial(number_of_devices, trainer.get("devices", 1)))
    if trainer.get("barebones") or trainer.get("enable_checkpointing") is False:
        yield Problem(
            "trainer.barebones and trainer.enable_checkpointing: false write no checkpoint, without which a run is of "
            "no use: leave them out"
        )
    yield from refusals(partial(try_trainer, dict(options_to_try(trainer))))


def options_to_try(trainer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the options that a trainer on this machine's processor checks as the one to come would."""
    yield from ((name, trainer[name]) for name in PLAIN if trainer.get(name) is not None)
    if isinstance(profiler := trainer.get("profiler"), str):
        yield "profiler", profiler
    if isinstance(interval := trainer.get("val_check_interval"), float):
        yield "val_check_interval", interval
    if str(precision := trainer.get("precision")).startswith("transformer-engine"):
        yield "precision", precision
    if trainer.get("accelerator") == "cpu" and trainer.get("strategy") in StrategyRegistry.available_strategies():
        yield "strategy", trainer["strategy"]


def at_least_of_trainer(trainer: Any) -> None:
    """Check the ranges of options that Lightning takes as they are.

    Raises:
        InputError: one is out of its range.
    """
    for option, least in LEAST.items():
        at_least(least, **{f"trainer.{option}": trainer.get(option)})


def try_trainer(options: dict[str, Any]) -> None:
    """Make a trainer that does nothing.

    Raises:
        InputError: Lightning refuses the options.
    """
    with refused_by_trainer(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "GPU available but not used")  # by this one, which trains nothing
        L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, **options)


@contextmanager
def refused_by_trainer() -> Iterator[None]:
    """Around what makes a trainer.

    Raises:
        InputError: Lightning refuses its options.
    """
    try:
        yield
    except (MisconfigurationException, ValueError, TypeError, ImportError) as error:
        raise InputError(f"trainer: {' '.join(str(error).split())}") from error


def some_steps(training: Training) -> Iterable[Problem]:
    """Check that there is something to do: a training of 0 steps would leave no checkpoint."""
    for option in ("max_steps", "max_epochs", "limit_train_batches"):
        if training.trainer.get(option) == 0:
            yield Problem(f"trainer.{option} is 0: nothing would be trained, and no checkpoint written; raise it")


def whole_steps(training: Training) -> Iterable[Problem]:
    """Check that each optimiser step has all its batches.

    The loss is normalised by what they hold together.
    """
    batches, accumulated = training.limited_batches or 0, training.accumulated
    of_epoch = training.steps_of_epoch * accumulated
    for option in ("limit_train_batches", "overfit_batches"):
        yield from less_than_one(option, training.trainer.get(option), of_epoch)
    if batches % accumulated:
        yield Problem(
            f"limit_train_batches makes an epoch of {batches} batches, which are no whole steps of {accumulated} "
            "batches (accumulate_grad_batches): make it a multiple"
        )
    if any("GradientAccumulationScheduler" in str(one) for one in training.trainer.get("callbacks") or []):
        yield Problem(
            "GradientAccumulationScheduler changes the number of batches of a step, by which the loss is normalised: "
            "set accumulate_grad_batches instead"
        )


def validation_interval(training: Training) -> Iterable[Problem]:
    """Check that the training validates: the best validation is the checkpoint."""
    if training.trainer.get("limit_val_batches") == 0:
        yield Problem(
            "limit_val_batches is 0: no checkpoint would be written, since the best validation chooses it; "
            "set it to 1 or more"
        )
    interval = training.trainer.get("val_check_interval")
    if isinstance(interval, int | str) or (interval is not None and training.validate_every_n_steps is not None):
        yield Problem(
            f"trainer.val_check_interval is {interval}: it counts batches or time, and not optimiser steps; set "
            "validate_every_n_steps instead"
        )
    limit = training.trainer.get("limit_val_batches")
    dataset = training.data.datasets.get("validation")
    if isinstance(limit, float) and dataset is not None:
        batches = len(training.data.batches_of_evaluation("validation", 0, training.processes))
        yield from less_than_one("limit_val_batches", limit, batches)


def less_than_one(option: str, share: Any, batches: int) -> Iterable[Problem]:
    """Check that a share of some batches, where it is one, is at least a batch."""
    if isinstance(share, float) and 0 < share < 1 and batches and not int(share * batches):
        yield Problem(
            f"trainer.{option} is {share:g}: less than one of {batches} batches; set it to {1 / batches:.2g} or more, "
            "or to a number of batches"
        )


def monitored_scores(training: Training) -> Iterable[Problem]:
    """Check that callbacks such as EarlyStopping monitor what is logged."""
    for callback in training.trainer.get("callbacks") or []:
        monitor = (callback.get("init_args") or {}).get("monitor") if hasattr(callback, "get") else None
        known = [*validation_scores(training), *(f"train/{name}" for name in TRAIN_VALUES)]
        if monitor is not None and monitor not in known:
            yield Problem(
                f"{callback['class_path']} monitors {monitor!r}, which is not logged: choose one of "
                "validation/score, validation/TASK/SCORE (docs/scores.md), "
                f"{', '.join(f'train/{name}' for name in TRAIN_VALUES)}{did_you_mean(monitor, known)}"
            )


def validation_scores(training: Training) -> Iterator[str]:
    """Yield the names under which a validation may log its scores."""
    yield "validation/score"
    for task in training.data.tasks:
        yield from (f"validation/{task}/{score}" for score in SCORES)
