"""How long and how fast a checkpoint is pretrained on the kitchen's stills."""

from dataclasses import dataclass
from typing import Any

from gaze_vlm.ranges import above_zero, at_least

FRAMES = 4  # stills of a clip


@dataclass(frozen=True)
class StageOptions:
    """How long and how fast: steps, their highest learning rate, and clips or stills a step."""

    steps: int
    lr: float
    batch_size: int


@dataclass(frozen=True)
class Pretraining:
    """How a backbone is made, in two stages.

    Args:
        clips: clips of four stills to train on.
        encoder_steps: optimiser steps of the first stage, which trains the vision tower.
        alignment_steps: optimiser steps of the second, which trains projector and language model.
        encoder_lr: highest learning rate of the first stage.
        alignment_lr: highest learning rate of the second.
        batch_size: clips a step; of the first stage, stills.
        held_out_clips: clips on which the facts are measured; they change no weight.
    """

    clips: int = 2400
    encoder_steps: int = 1000
    alignment_steps: int = 800
    encoder_lr: float = 2.5e-3
    alignment_lr: float = 3e-3
    batch_size: int = 64
    held_out_clips: int = 200

    def __post_init__(self) -> None:
        at_least(1, clips=self.clips, batch_size=self.batch_size, held_out_clips=self.held_out_clips)
        at_least(0, encoder_steps=self.encoder_steps, alignment_steps=self.alignment_steps)
        above_zero(encoder_lr=self.encoder_lr, alignment_lr=self.alignment_lr)

    @property
    def encoder(self) -> StageOptions:
        """The first stage."""
        return StageOptions(self.encoder_steps, self.encoder_lr, self.batch_size)

    @property
    def alignment(self) -> StageOptions:
        """The second stage."""
        return StageOptions(self.alignment_steps, self.alignment_lr, self.batch_size)


@dataclass(frozen=True)
class FamilyPretraining(Pretraining):
    """The same for every family: fewer stills a step, since most of their towers read four times as many patches."""

    alignment_steps: int = 1200
    encoder_lr: float = 1.2e-2
    batch_size: int = 32


def how_made(pretraining: Pretraining) -> dict[str, Any]:
    """Return the options that the weights depend on."""
    return {name: value for name, value in vars(pretraining).items() if name != "held_out_clips"}
