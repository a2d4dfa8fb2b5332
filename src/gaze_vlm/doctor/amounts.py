"""How much a training is: clips, optimiser steps, passes, validations, and what its caches hold in memory."""

from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from gaze_vlm.backbones.kept_features import why_none_is_kept
from gaze_vlm.doctor.memory import GB
from gaze_vlm.training.checks import Training

LIGHTNINGS_EPOCHS = 1000  # where neither steps nor epochs are limited


@dataclass(frozen=True)
class Amounts:
    """What a training runs through.

    Args:
        steps: optimiser steps in all.
        steps_of_epoch: those of one pass over the training clips.
        interval: steps from one validation to the next.
        validations: how many, with the one after the last step.
    """

    steps: float
    steps_of_epoch: int
    interval: int
    validations: float

    @property
    def passes(self) -> float:
        """Passes over the training clips."""
        return self.steps / self.steps_of_epoch if self.steps_of_epoch else 0.0


def amounts(training: Training) -> Amounts:
    """Work out steps and validations; the store must be set up."""
    trainer, steps_of_epoch = training.trainer, training.steps_of_epoch
    if training.limited_batches is not None:
        steps_of_epoch = min(steps_of_epoch, training.limited_batches // training.accumulated)
    max_steps, max_epochs = _limit(trainer.get("max_steps")), _limit(trainer.get("max_epochs"))
    if trainer.get("max_epochs") is None and max_steps == inf:
        max_epochs = LIGHTNINGS_EPOCHS
    steps = min(max_steps, max_epochs * steps_of_epoch)
    interval = training.validate_every_n_steps or steps_of_epoch * (trainer.get("check_val_every_n_epoch") or 1)
    return Amounts(steps, steps_of_epoch, interval, inf if steps == inf else ceil(steps / max(1, interval)))


def _limit(value: Any) -> float:
    return inf if value in (None, -1) else value


def amounts_in_words(training: Training) -> dict[str, str]:
    """Describe clips, steps, validations and caches; the store must be set up."""
    data, much = training.data, amounts(training)
    train, validation = data.datasets["train"], data.datasets["validation"]
    in_store = sum(record.split == "train" for record in data.store.clips)
    of_step = f"{training.processes} × " * (training.processes > 1) + f"{training.accumulated} × {data.batch_size}"
    facts = {
        "clips": f"{len(train.records):,} of {in_store:,} to train on, {len(validation.records):,} to validate on, "
        f"each with {len(data.tasks)} tasks",
        "training": f"{much.steps:,} optimiser steps of {of_step} samples, {much.passes:.1f} passes over the clips",
        "validation": f"{much.validations:,} times, after every {much.interval:,} optimiser steps and after the last",
    }
    return facts


def kept_in_words(training: Training, frames: int) -> dict[str, str]:
    """Describe what is kept of clips of so many frames, on disk and in memory.

    The model must be built.
    """
    backbone, data = training.module.backbone, training.data
    clips = sum(len(dataset.records) for dataset in data.datasets.values())
    height_px, width_px = backbone.frame_size_px
    clip_bytes = 4.0 * frames * 3 * height_px * width_px
    facts = {}
    if data.features is not None and why_none_is_kept(backbone) is None:
        tokens, width = backbone.features_of_group
        groups = frames // backbone.layout.frames_per_group
        clip_bytes = (4 if backbone.options.dtype == "float32" else 2) * groups * tokens * width
        facts["features"] = (
            f"about {clips * clip_bytes / GB:.2f} GB in {data.features}, at most {data.features_gb:g} GB (features_gb)"
        )
    elif data.features is not None:
        facts["features"] = f"none is kept: {why_none_is_kept(backbone)}"
    if data.cached_clips:
        # Every worker of every process has its own, of both data sets.
        loaders = max(1, data.workers) * training.processes
        held = loaders * clip_bytes * sum(min(data.cached_clips, len(one.records)) for one in data.datasets.values())
        facts["clips in memory"] = (
            f"up to {held / GB:.2f} GB of the host's (cached_clips {data.cached_clips:,} in {loaders} loaders)"
        )
    return facts
