"""A clip, which a datamodule serves, and a batch, which a backbone's collator makes of some."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from gaze_vlm.gaze.mixture import GazeMixture

Task = Literal["activity", "future"]


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
class Batch:
    """A collated batch. `inputs` hold prompt and target with `labels`; `prompts` the prompt alone, for generation.
    Sequences end at the right edge. Gaze lies beside the inputs, never inside them, for each step of the model: a
    frame, or as many as its vision tower takes as one."""

    inputs: dict[str, Tensor]
    prompts: dict[str, Tensor]
    gaze: Float[Tensor, "batch step patch"]
    valid: Bool[Tensor, "batch step"]
    clips: list[Clip]

    def __len__(self) -> int:
        return len(self.clips)
