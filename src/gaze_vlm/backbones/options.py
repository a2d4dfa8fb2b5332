"""The options that every backbone takes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gaze_vlm.attention.block import GazeBlock
from gaze_vlm.attention.sources import AttentionSource
from gaze_vlm.backbones.loading import Dtype, Quantization
from gaze_vlm.backbones.lora import Lora
from gaze_vlm.backbones.parts import ModelPart
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import check_min_mass_in_view
from gaze_vlm.gaze.view import View
from gaze_vlm.ranges import at_least


class BackboneOptions(nn.Module):
    """What a backbone is told, and places for what it loads.

    Args:
        checkpoint: folder (or hub name) of a native `transformers` checkpoint with its processor.
        block: makes the gaze block from the width of a visual token; None inserts none.
        vit_layers: hand over the attention of these vision layers instead of the block's; negative counts from the
            last of those that can be taken. Several stand beside each other as more heads.
        language_layers: hand over that of these language layers: where the tokens that predict the answer look.
        heads: of the layers or the block, hand over these alone; all by default.
        train: parts that learn, beside the block, which always does.
        view: how a frame goes into the model; the whole frame squashed by default.
        frame_size_px: height and width of a frame at the vision tower; None is the model's own.
        min_mass_in_view: share of a frame's gaze mass, in (0, 1], that must be in view for the frame to count.
        max_new_tokens: longest generated answer, in tokens.
        max_target_tokens: longest target text that is trained on, in tokens with the end of text; a longer one is cut,
            and `fit` and `doctor` report how many are.
        dtype: of the weights, frozen or not; autocasting is the trainer's `precision`.
        lora: parts that learn through low-rank additions, beside those of `train`.
        quantization: `4bit` holds the frozen language model in 4 bits a weight; needs a GPU and bitsandbytes.
        gradient_checkpointing: run each layer again in the backward pass rather than keep what it computed.
        cached_frames: keep what the frozen vision tower and projector (LLaVA: the tower) made of so many frames, or
            clips where a clip is one video; for data that fit in memory.

    Raises:
        InputError: a part is named in both `train` and `lora`, or a number is out of its range.
    """

    def __init__(
        self,
        checkpoint: str,
        block: Callable[[int], GazeBlock] | None = None,
        vit_layers: tuple[int, ...] = (),
        language_layers: tuple[int, ...] = (),
        heads: tuple[int, ...] = (),
        train: tuple[ModelPart, ...] = ("projector", "language"),
        view: View = View(),  # noqa: B008 (frozen)
        frame_size_px: tuple[int, int] | None = None,
        min_mass_in_view: float = 0.5,
        max_new_tokens: int = 32,
        max_target_tokens: int = 128,
        dtype: Dtype = "float32",
        lora: Lora | None = None,
        quantization: Quantization | None = None,
        gradient_checkpointing: bool = False,
        cached_frames: int = 0,
    ) -> None:
        super().__init__()
        both = set(train) & set(() if lora is None else lora.parts)
        if both:
            raise InputError(f"{', '.join(sorted(both))} in train and in lora.parts: a part learns in one way")
        if max_target_tokens < 2:
            raise InputError(
                f"max_target_tokens is {max_target_tokens}; expected 2 or more: a word and the end of text"
            )
        check_min_mass_in_view(min_mass_in_view)
        at_least(1, max_new_tokens=max_new_tokens)
        at_least(0, cached_frames=cached_frames)
        for side_px in frame_size_px or ():
            at_least(1, frame_size_px=side_px)
        for head in heads:
            at_least(0, heads=head)
        if block is not None:
            with torch.device("meta"):  # to check its ranges: its width comes with the checkpoint
                block(1)
        self.checkpoint = checkpoint
        self.make_block = block
        self.vit_layers = vit_layers
        self.language_layers = language_layers
        self.heads = heads
        self.train_parts = train
        self.view = view
        self.asked_frame_size_px = frame_size_px
        self.min_mass_in_view = min_mass_in_view
        self.max_new_tokens = max_new_tokens
        self.max_target_tokens = max_target_tokens
        self.dtype: Dtype = dtype
        self.lora = lora
        self.quantization: Quantization | None = quantization
        self.gradient_checkpointing = gradient_checkpointing
        self.cached_frames = cached_frames
        self.hf: Any = None
        self.processor: Any = None
        self.block: GazeBlock | None = None
        self.source: AttentionSource | None = None
        self._frames = 0  # a clip has in the pass under way; its steps where the model takes several frames as one
