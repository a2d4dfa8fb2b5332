"""Checks of the number of steps, of what makes one, and of when the training validates."""

from collections.abc import Iterable
from typing import Any

from gaze_vlm.training.checks.problem import Problem, Training


def some_steps(training: Training) -> Iterable[Problem]:
    """Check that there is something to do: a training of 0 steps would leave no checkpoint."""
    for option in ("max_steps", "max_epochs", "limit_train_batches"):
        if training.trainer.get(option) == 0:
            yield Problem(f"trainer.{option} is 0: nothing would be trained, and no checkpoint written; raise it")
    epochs = training.trainer.get("max_epochs")
    if training.trainer.get("max_steps") in (None, -1) and (
        epochs == -1 or (epochs is None and training.trainer.get("max_time") is not None)
    ):
        yield Problem(
            "the training has no last step, up to which the learning rate is scheduled: set trainer.max_steps or "
            "trainer.max_epochs; trainer.max_time may end it before"
        )


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
    if any("GradientAccumulationScheduler" in str(one) for one in training.callbacks):
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
    elif interval is not None:
        batches = training.steps_of_epoch * training.accumulated
        if training.limited_batches is not None:
            batches = min(batches, training.limited_batches)
        between = max(1, int(batches * interval))
        if batches and between % training.accumulated:
            yield Problem(
                f"trainer.val_check_interval is {interval:g}: it would validate every {between} batches, within a step "
                f"of {training.accumulated} batches (accumulate_grad_batches); set validate_every_n_steps instead"
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
