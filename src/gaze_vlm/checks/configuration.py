"""Checks of the options and the store; no model is needed."""

from collections.abc import Iterable
from functools import partial

from gaze_vlm.backbones.loading import check_four_bits
from gaze_vlm.checks.training import Problem, Training, refusals
from gaze_vlm.versions import misfits


def versions_fit(training: Training) -> Iterable[Problem]:
    """The installed packages have the versions that they ask of each other; a pair that has not may still work."""
    return (Problem(f"{misfit}: `make install` installs versions that fit", fatal=False) for misfit in misfits())


def four_bits(training: Training) -> Iterable[Problem]:
    """What is held in 4 bits is frozen, and there is a GPU and bitsandbytes for it."""
    backbone = training.module.backbone
    return () if backbone.quantization is None else refusals(partial(check_four_bits, backbone.train_parts))


def prepared_store(training: Training) -> Iterable[Problem]:
    """There is a store, with as many clips as the training asks for and as its batches need."""
    data = training.data
    if not (data.store_path / "manifest.json").is_file():
        yield Problem(f"{data.store_path} is no store: run `gaze-vlm prepare` before the training")
        return
    unusable = list(refusals(lambda: data.setup("fit")))
    yield from unusable
    if not unusable:
        yield from refusals(lambda: data.batches_of_training(training.processes))
        yield from refusals(lambda: data.batches_of_evaluation("validation", 0, training.processes))


def validation_interval(training: Training) -> Iterable[Problem]:
    """A training validates: the checkpoint is that of the best validation."""
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
