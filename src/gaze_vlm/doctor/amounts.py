"""How much a training is: clips, optimiser steps, passes, validations, and what its caches hold in memory."""

from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.datamodules.dataset import ClipDataset
from gaze_vlm.doctor.memory import GB
from gaze_vlm.training.checks import Training
from gaze_vlm.training.checks.problem import refusals

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
        return self.steps / self.steps_of_epoch


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
    return Amounts(steps, steps_of_epoch, interval, inf if steps == inf else ceil(steps / interval))


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
    if data.cached_clips and not list(refusals(lambda: train.decode(0))):
        # Every worker of every process has caches of its own, of both data sets.
        copies = max(1, data.workers) * training.processes
        held = copies * sum(decoded_bytes(dataset, data.cached_clips) for dataset in (train, validation))
        facts["clips in memory"] = (
            f"up to {held / GB:.1f} GB of the host's (cached_clips {data.cached_clips:,} in {copies} loaders)"
        )
    return facts


def decoded_bytes(dataset: ClipDataset, cached_clips: int) -> float:
    """Return the bytes of decoded frames of so many clips, or of all there are.

    Each counts as the first, which is decoded: the manifest has the size of the gaze's frame, and a video may be a
    smaller copy of it.
    """
    if not dataset.records:
        return 0.0
    return float(dataset.decode(0).nbytes * min(cached_clips, len(dataset.records)))


def cache_in_words(backbone: Backbone, frames: int) -> dict[str, str]:
    """Describe the memory of kept vision outputs; the model must be built.

    Args:
        backbone: the model.
        frames: of all the clips that are trained and validated on, which are not more.
    """
    cached_frames = backbone.options.cached_frames
    if not cached_frames:
        return {}
    kept = min(cached_frames, frames)
    width = backbone.hf.get_input_embeddings().embedding_dim
    held = 4.0 * kept * len(backbone.layout.vit) * width
    return {"frames in memory": f"about {held / GB:.1f} GB beside the model (cached_frames {cached_frames:,})"}
