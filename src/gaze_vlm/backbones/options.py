"""The options that every backbone takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from gaze_vlm.attention.block import GazeBlock
from gaze_vlm.backbones.loading import Dtype, Quantization
from gaze_vlm.backbones.lora import Lora
from gaze_vlm.backbones.parts import ModelPart
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import check_min_mass_in_view
from gaze_vlm.gaze.view import View
from gaze_vlm.ranges import at_least


@dataclass(frozen=True)
class BackboneOptions:
    """What a user chooses of a backbone.

    Args:
        checkpoint: folder, hub name or shipped name of a native `transformers` checkpoint with its processor.
        block: makes the gaze block from the width of a visual token; None inserts none.
        vit_layers: use the attention of these vision layers instead of the block's. Negative ones count from the last
            of those that can be captured, `all` are all of those. Several stand beside each other as more heads.
        language_layers: use that of these language layers: where the tokens that predict the answer look.
        heads: use these heads of the layers or the block alone; all by default.
        train: parts that are trained in full. The block always is.
        view: how a frame goes into the model; the whole frame squashed by default.
        frame_size_px: height and width of a frame at the vision tower; None is the model's own.
        min_mass_in_view: share of a frame's gaze mass, in (0, 1], that must be in view for the frame to count.
        max_new_tokens: longest generated answer, in tokens.
        max_target_tokens: longest target text in training, in tokens with the end of text. A longer one is cut; `fit`
            and `doctor` report how many are.
        dtype: of the weights, frozen or not; autocasting is the trainer's `precision`.
        lora: parts that are trained through low-rank additions, beside those of `train`.
        quantization: `4bit` holds the frozen language model in 4 bits a weight; needs a GPU and bitsandbytes.
        gradient_checkpointing: run each layer again in the backward pass rather than keep what it computed.

    Raises:
        InputError: a part is in both `train` and `lora.parts`, or a number is out of its range.
    """

    checkpoint: str
    block: Callable[[int], GazeBlock] | None = None
    vit_layers: tuple[int, ...] | Literal["all"] = ()
    language_layers: tuple[int, ...] | Literal["all"] = ()
    heads: tuple[int, ...] = ()
    train: tuple[ModelPart, ...] = ("projector", "language")
    view: View = View()  # noqa: RUF009 (frozen)
    frame_size_px: tuple[int, int] | None = None
    min_mass_in_view: float = 0.5
    max_new_tokens: int = 32
    max_target_tokens: int = 128
    dtype: Dtype = "float32"
    lora: Lora | None = None
    quantization: Quantization | None = None
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        both = set(self.train) & set(() if self.lora is None else self.lora.parts)
        if both:
            raise InputError(f"{', '.join(sorted(both))} in train and in lora.parts: a part is trained in one way")
        if self.max_target_tokens < 2:
            raise InputError(
                f"max_target_tokens is {self.max_target_tokens}; expected 2 or more: a word and the end of text"
            )
        check_min_mass_in_view(self.min_mass_in_view)
        at_least(1, max_new_tokens=self.max_new_tokens)
        for side_px in self.frame_size_px or ():
            at_least(1, frame_size_px=side_px)
        for head in self.heads:
            at_least(0, heads=head)
        if self.block is not None:
            with torch.device("meta"):  # to check its ranges: its width comes with the checkpoint
                self.block(1)
