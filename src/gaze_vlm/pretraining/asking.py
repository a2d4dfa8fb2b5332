"""Questions about stills as a batch of any backbone: of a crop of each still, or of whole ones."""

from typing import Literal

import numpy as np
import torch
from einops import einsum, rearrange
from jaxtyping import Float
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor, nn

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.collator import Collator
from gaze_vlm.backbones.visual_features import ClipFeatures
from gaze_vlm.datamodules.clip import IGNORED, Batch
from gaze_vlm.pretraining.encoder_stage import pixels_of
from gaze_vlm.pretraining.questions import ask_of_crops, ask_of_scene
from gaze_vlm.pretraining.stills import Still


class Crops(nn.Module):
    """Stands where a gaze block would: passes the visual tokens on, or the mean of one crop of each frame."""

    crops: Float[Tensor, "clip frame patch"] | None = None

    @property
    def output(self) -> Literal["mean", "modulate"]:
        """The gaze block's name for what is passed on."""
        return "modulate" if self.crops is None else "mean"

    def tokens_per_frame(self, patches: int) -> int:
        """Visual tokens that the language model reads for a frame of so many patches."""
        return patches if self.crops is None else 1

    def forward(self, tokens: Float[Tensor, "clip frame patch width"]) -> tuple[Tensor, Tensor]:
        """Return the tokens for the language model; there is no attention."""
        if self.crops is not None:
            mean = einsum(tokens, self.crops, "clip frame patch width, clip frame patch -> clip frame width")
            tokens = rearrange(mean, "clip frame width -> clip frame 1 width")
        return tokens, tokens.new_empty(0)


def put_crops(backbone: Backbone) -> None:
    """Put `Crops` in the place of a loaded model's gaze block, or where one would be."""
    had_block = backbone.block is not None
    backbone.block = Crops()  # type: ignore[assignment]
    if not had_block:
        backbone.rewrite_visual_tokens()


def ask(
    backbone: Backbone,
    collator: Collator,
    clips: list[list[Still]],
    crops: bool,
    rng: np.random.Generator,
    features: ClipFeatures | None = None,
) -> tuple[Batch, list[tuple[str, str]]]:
    """Make a batch of questions about a crop of each still, or about the whole last one.

    Of crops, the last one is to be named.

    Args:
        backbone: it has `Crops`.
        collator: of the backbone.
        clips: stills of a kitchen each.
        crops: ask of crops.
        rng: draws the questions.
        features: of the stills; None has the model make them.

    Returns:
        The batch, and each clip's question and answer.
    """
    block, side, frames, device = backbone.block, backbone.layout.language.rows, len(clips[0]), backbone.hf.device
    assert isinstance(block, Crops)
    block.crops = None
    if crops:
        questions, weights = ask_of_crops(clips, rng, side)
        block.crops = weights.to(device)
    else:
        questions = [ask_of_scene(clip[-1], rng) for clip in clips]
    collator.tokens_per_frame = backbone.tokens_per_frame
    inputs = collator.with_labels([collator.tokenize(*question, [0.0] * frames) for question in questions])
    visual = {"pixel_values": pixels_of(collator, clips)} if features is None else {"features": features}
    inputs, visual = move_data_to_device((inputs, visual), device)
    gaze, valid = torch.empty(len(clips), 0, 0), torch.empty(len(clips), 0, dtype=torch.bool)  # stills have none
    tokens = (inputs["labels"] != IGNORED).sum().float()
    batch = Batch(
        inputs=inputs,
        padding=collator.padding,
        visual=visual,
        rows=None,
        gaze=gaze,
        valid=valid,
        clips=[],
        tokens=tokens,
    )
    return batch, questions
