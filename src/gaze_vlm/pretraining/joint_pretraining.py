"""A kitchen's checkpoint of any family, from scratch in one stage, through the backbone's own interface.

Each step answers a question about stills, as the second stage of `from_scratch` does, and at the same time names what
each visual token shows, as its first stage does for patches. It knows stills, no recipe and no gaze.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor, nn
from torch.nn import functional

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.collator import Collator
from gaze_vlm.backbones.loading import chosen_device, save_checkpoint
from gaze_vlm.backbones.tiny import TinyFamily
from gaze_vlm.datamodules.clip import IGNORED, Batch
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.pretraining.optimisation import steps
from gaze_vlm.pretraining.patch_labels import CLASSES, patch_labels
from gaze_vlm.pretraining.questions import ask_of_crops, ask_of_scene
from gaze_vlm.pretraining.stills import Still, render_stills
from gaze_vlm.ranges import above_zero, at_least

FRAMES = 2


@dataclass(frozen=True)
class JointPretraining:
    """How a family's backbone is made, in one stage.

    Args:
        clips: clips of two stills to train on.
        steps: optimiser steps.
        lr: highest learning rate.
        batch_size: clips a step.
        held_out_clips: clips on which the facts are measured; they change no weight.
    """

    clips: int = 1600
    steps: int = 800
    lr: float = 2.5e-3
    batch_size: int = 16
    held_out_clips: int = 64

    def __post_init__(self) -> None:
        at_least(1, clips=self.clips, batch_size=self.batch_size, held_out_clips=self.held_out_clips)
        at_least(0, steps=self.steps)
        above_zero(lr=self.lr)


class LabelledTokens(nn.Module):
    """Stands where a gaze block would, and labels what each visual token shows.

    It passes the tokens on, or the mean of one crop of each frame.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.Linear(width, sum(CLASSES))
        self.crops: Float[Tensor, "clip frame patch"] | None = None
        self.scores: list[Float[Tensor, "clip frame patch _kind"]] = []

    @property
    def output(self) -> str:
        """The gaze block's name for what is passed on."""
        return "modulate" if self.crops is None else "mean"

    def tokens_per_frame(self, patches: int) -> int:
        """Visual tokens that the language model reads for a frame of so many patches."""
        return patches if self.crops is None else 1

    def forward(self, tokens: Float[Tensor, "clip frame patch width"]) -> tuple[Tensor, Tensor]:
        """Return the tokens for the language model; there is no attention."""
        self.scores = list(self.heads(tokens).split(CLASSES, -1))
        if self.crops is not None:
            mean = einsum(tokens, self.crops, "clip frame patch width, clip frame patch -> clip frame width")
            tokens = rearrange(mean, "clip frame width -> clip frame 1 width")
        return tokens, tokens.new_empty(0)


def make_family(
    folder: Path, words: list[str], seed: int, family: TinyFamily, pretraining: JointPretraining
) -> dict[str, float]:
    """Make a family's checkpoint in `folder` from random weights, and measure it."""
    clips = render_stills(pretraining.clips + pretraining.held_out_clips, FRAMES, seed)
    model, processor = family.build(words, seed=seed)
    save_checkpoint(model, processor, folder)
    backbone, facts = train_family(family, folder, clips, pretraining, np.random.default_rng(seed))
    save_checkpoint(backbone.hf, processor, folder)
    return facts


def train_family(
    family: TinyFamily, folder: Path, clips: list[list[Still]], pretraining: JointPretraining, rng: np.random.Generator
) -> tuple[Backbone, dict[str, float]]:
    """Train a family's checkpoint on clips of stills.

    Args:
        family: of the checkpoint.
        folder: the checkpoint with random weights.
        clips: the stills; the last are held out.
        pretraining: steps, learning rate, clips of a step, and how many are held out.
        rng: draws clips and questions.

    Returns:
        The trained backbone; and on held-out stills the share of visual tokens that show something and are named
        right, by kind, colour and hand, and the cross-entropy of answer tokens.
    """
    backbone = family.make(str(folder), train=("vision", "projector", "language"), frame_size_px=family.frame_size_px)
    backbone.load()
    labelled = LabelledTokens(backbone.hf.get_input_embeddings().embedding_dim)
    backbone.block = labelled  # type: ignore[assignment]
    backbone.rewrite_visual_tokens()
    backbone.to(chosen_device())
    collator, side = backbone.collator(), backbone.layout.language.rows
    labels = torch.from_numpy(np.stack([[patch_labels(still, side) for still in clip] for clip in clips]))
    labels = labels.to(backbone.hf.device)
    parameters = [parameter for parameter in backbone.parameters() if parameter.requires_grad]

    def losses(index: np.ndarray, crops: bool) -> tuple[Tensor, Tensor]:
        batch, _ = ask(backbone, collator, [clips[i] for i in index], crops, rng)
        made = backbone(batch)
        named = sum(
            functional.cross_entropy(scores.flatten(0, 2), truth.flatten())
            for scores, truth in zip(labelled.scores, labels[index].unbind(2), strict=True)
        )
        return made.cross_entropy.sum() / made.tokens, torch.as_tensor(named)

    trained = len(clips) - pretraining.held_out_clips
    for number, step in enumerate(steps(parameters, pretraining.lr, pretraining.steps, "training the checkpoint")):
        index = rng.integers(0, trained, pretraining.batch_size)
        step(sum(losses(index, crops=family.pools and number % 4 != 0)))
    with torch.no_grad():
        held_out = np.arange(trained, len(clips))
        answers, _ = losses(held_out, crops=False)
        facts = {"scene_cross_entropy": float(answers), **named_right(labelled.scores, labels[held_out])}
    return backbone, {name: round(value, 3) for name, value in facts.items()}


def ask(
    backbone: Backbone, collator: Collator, clips: list[list[Still]], crops: bool, rng: np.random.Generator
) -> tuple[Batch, list[tuple[str, str]]]:
    """Make a batch of questions about a crop of each still, or about the whole last one.

    Of crops, the last one is to be named.

    Args:
        backbone: its block is a `LabelledTokens`.
        collator: of the backbone.
        clips: stills of a kitchen each.
        crops: ask of crops.
        rng: draws the questions.

    Returns:
        The batch, and each clip's question and answer.
    """
    labelled, side, frames = backbone.block, backbone.layout.language.rows, len(clips[0])
    labelled.crops = None  # type: ignore[union-attr, assignment]
    if crops:
        questions, weights = ask_of_crops(clips, rng, side)
        labelled.crops = weights.to(backbone.hf.device)  # type: ignore[union-attr, assignment]
    else:
        questions = [ask_of_scene(clip[-1], rng) for clip in clips]
    collator.tokens_per_frame = backbone.tokens_per_frame
    inputs = collator.with_labels([collator.tokenize(*question, [0.0] * frames) for question in questions])
    images = [to_frames(torch.from_numpy(np.stack([still.image for still in clip]))) for clip in clips]
    visual = {"pixel_values": torch.stack([collator.pixel_values(image) for image in images])}
    inputs, visual = move_data_to_device((inputs, visual), backbone.hf.device)
    gaze, valid = torch.empty(len(clips), 0, 0), torch.empty(len(clips), 0, dtype=torch.bool)  # stills have none
    tokens = (inputs["labels"] != IGNORED).sum().float()
    padding = collator.padding
    batch = Batch(
        inputs=inputs, padding=padding, visual=visual, rows=None, gaze=gaze, valid=valid, clips=[], tokens=tokens
    )
    return batch, questions


def named_right(
    scores: list[Float[Tensor, "clip frame patch _kind"]], labels: Int[Tensor, "clip frame label patch"]
) -> dict[str, float]:
    """Compute the share of tokens that show something and are named right."""
    predicted = torch.stack([part.argmax(-1) for part in scores], 2)
    shown = labels > 0
    right = ((predicted == labels) & shown).sum((0, 1, 3)) / shown.sum((0, 1, 3))
    return dict(zip(("token_kind", "token_colour", "token_hand"), right.tolist(), strict=True))
