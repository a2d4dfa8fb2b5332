"""A clip, which a datamodule serves, and a batch, which a backbone's collator makes of some."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, get_args

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.regions import FrameRegions
from gaze_vlm.preparation.records import Task
from gaze_vlm.suggestions import did_you_mean

IGNORED = -100  # the label that the cross-entropy skips

PROMPTS: dict[Task, str] = {
    "activity": "What is the camera wearer doing?",
    "future": "What will the camera wearer do next?",
}


@dataclass
class Clip:
    """One clip with one task.

    `frames` are RGB in [0, 255] at the video's own size, in time order. None: `visual` has what a model reads of them,
    `pixel_values` or the `features` of a frozen vision tower. `frame_times_s` count from the clip's start, so that the
    last is its length. `verb` and `noun` are None where the data set labels none; `future_starts_in_s` counts from the
    end of the clip to the start of the future action, not above 0 where that has begun. `session` is what the video was
    recorded in: clips of one are not independent. `nouns` are the noun labels of all that is annotated from the clip's
    start to the time of the future action. `targets` are what attention is pulled toward where that is not the gaze.
    `session_end_s` counts from the session's start to the end of the clip. `stands_for` is why another clip of the
    training could not be read, in whose place this one is served; empty where it is served for itself.
    """

    clip_id: str
    video_id: str
    session: str
    task: Task
    frames: UInt8[Tensor, "frame 3 height width"] | None
    frame_times_s: Sequence[float]
    gaze: GazeMixture
    prompt: str
    target: str
    verb: str | None
    noun: str | None
    same_action: bool
    future_starts_in_s: float
    nouns: tuple[str, ...] = ()
    session_end_s: float = 0.0
    targets: FrameRegions | None = None
    visual: Mapping[str, Tensor] = field(default_factory=dict)
    stands_for: str = ""


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

    `inputs` hold prompt and target with `labels`, ending at the right edge, with `padding` on the left. `visual` has
    `pixel_values` or `features`, and times where the model reads them, of each clip once; `rows` says which of them a
    sample shows, None that each has its own. Gaze is there for each frame group of the model: a frame, or as many as
    its vision tower takes as one. `tokens` counts the answers' tokens. `clips` have no frames. `step` is None where
    the batch is an optimiser step by itself.
    """

    inputs: dict[str, Int[Tensor, "batch token"]]
    padding: int
    visual: dict[str, Tensor]
    rows: Int[Tensor, " batch"] | None
    gaze: Float[Tensor, "batch group patch"]
    valid: Bool[Tensor, "batch group"]
    clips: list[Clip]
    tokens: Float[Tensor, ""]
    step: StepTotals | None = None

    @property
    def totals(self) -> StepTotals:
        """Those of the optimiser step that the batch belongs to."""
        return self.step or totals_of([self])[0]

    @property
    def prompts(self) -> dict[str, Int[Tensor, "batch token"]]:
        """The inputs without the targets, for generation: ids and mask of the prompts alone, padded on the left."""
        ids, mask = self.inputs["input_ids"], self.inputs["attention_mask"]
        answers = (self.inputs["labels"] != IGNORED).sum(1)
        longest = int((mask.sum(1) - answers).max())
        places = torch.arange(ids.shape[1] - longest, ids.shape[1], device=ids.device) - answers[:, None]
        within = places.clamp_min(0)
        is_prompt = mask.gather(1, within).bool() & (places >= 0)
        prompts = ids.gather(1, within).where(is_prompt, self.padding)
        return {"input_ids": prompts, "attention_mask": is_prompt.long()}

    def __len__(self) -> int:
        return len(self.valid)

    def map_tensors(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with a function applied to every tensor but the clips'."""
        step = self.step
        if step is not None:
            step = replace(step, tokens=function(step.tokens), valid=function(step.valid))
        return replace(
            self,
            inputs={name: function(tensor) for name, tensor in self.inputs.items()},
            visual={name: function(tensor) for name, tensor in self.visual.items()},
            rows=None if self.rows is None else function(self.rows),
            gaze=function(self.gaze),
            valid=function(self.valid),
            tokens=function(self.tokens),
            step=step,
        )

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory, from which a copy to a GPU need not wait."""
        return self.map_tensors(Tensor.pin_memory)


def totals_of(batches: Sequence[Batch]) -> list[StepTotals]:
    """Return the totals of an optimiser step's batches, for each of them."""
    tokens = torch.stack([batch.tokens for batch in batches]).sum()
    valid = torch.stack([batch.valid.sum() for batch in batches]).sum().float()
    frames = sum(batch.valid.numel() for batch in batches)
    return [StepTotals(tokens, valid, frames, len(batches), position) for position in range(len(batches))]


class ClipCollator(Protocol):
    """Makes a model's inputs."""

    def __call__(self, clips: list[Clip], /) -> Batch:
        """Return the batch of some clips."""

    def pixel_values(self, frames: Tensor, /) -> Tensor:
        """Return what the model reads of a clip's frames."""


def known_tasks(**options: Mapping[Task, object] | None) -> None:
    """Check that options by task name tasks that there are; None is left out.

    Raises:
        InputError: naming the option and the task.
    """
    known = get_args(Task)
    for option, by_task in options.items():
        for task in by_task or ():
            if task not in known:
                raise InputError(
                    f"{option} names {task!r}, which is no task: choose from {', '.join(known)}"
                    f"{did_you_mean(task, known)}"
                )
