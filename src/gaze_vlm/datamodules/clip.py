"""A clip, which a datamodule serves, and a batch, which a backbone's collator makes of some."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.preparation.records import Task


@dataclass
class Clip:
    """One clip with one task.

    `frames` are RGB in [0, 255] at the video's own size, in time order; `frame_times_s` count from the clip's start, so
    that the last is its length. `verb` and `noun` are None where the data
    set labels none; `future_starts_in_s` counts from the end of the clip to the start of the future action, not above 0
    where that has begun. `session` is what the video was recorded in: clips of one are not independent. `nouns` are the
    noun labels of all that is annotated from the clip's start to the time of the future action.
    """

    clip_id: str
    video_id: str
    session: str
    task: Task
    frames: UInt8[Tensor, "frame 3 height width"]
    frame_times_s: Sequence[float]
    gaze: GazeMixture
    prompt: str
    target: str
    verb: str | None
    noun: str | None
    same_step: bool
    future_starts_in_s: float
    nouns: tuple[str, ...] = ()


@dataclass
class StepTotals:
    """Totals of the batches that a process accumulates for an optimiser step.

    `tokens` and `valid` count the answers' tokens and the frames with valid gaze of all `batches`, `frames` all frames;
    `position` is that of one batch among them, from 0.
    """

    tokens: Float[Tensor, ""]
    valid: Float[Tensor, ""]
    frames: int
    batches: int
    position: int


@dataclass
class Batch:
    """A collated batch, with gaze beside the model's inputs, never inside them.

    `inputs` hold prompt and target with `labels`; `prompts` the prompt alone, for generation. Sequences end at the
    right edge. Gaze is there for each frame group of the model: a frame, or as many as its vision tower takes as one.
    `tokens` counts the answers' tokens; `step` is None where the batch is an optimiser step by itself.
    """

    inputs: dict[str, Tensor]
    prompts: dict[str, Tensor]
    gaze: Float[Tensor, "batch group patch"]
    valid: Bool[Tensor, "batch group"]
    clips: list[Clip]
    tokens: Float[Tensor, ""]
    step: StepTotals | None = None

    @property
    def totals(self) -> StepTotals:
        """Those of the optimiser step that the batch belongs to."""
        return self.step or totals_of([self])[0]

    def __len__(self) -> int:
        return len(self.clips)


def totals_of(batches: Sequence[Batch]) -> list[StepTotals]:
    """Return the totals of an optimiser step's batches, for each of them."""
    tokens = torch.stack([batch.tokens for batch in batches]).sum()
    valid = torch.stack([batch.valid.sum() for batch in batches]).sum().float()
    frames = sum(batch.valid.numel() for batch in batches)
    return [StepTotals(tokens, valid, frames, len(batches), position) for position in range(len(batches))]
