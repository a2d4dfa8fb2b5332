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


def saved_weights(training: Training) -> Iterable[Problem]:
    """Check that the weights that are validated are those that a checkpoint holds: no average beside them."""
    for callback in training.callbacks:
        if "WeightAveraging" in str(name := callback.get("class_path") if hasattr(callback, "get") else callback):
            yield Problem(
                f"{name} averages weights beside those that are trained, which no checkpoint holds: leave it out"
            )
