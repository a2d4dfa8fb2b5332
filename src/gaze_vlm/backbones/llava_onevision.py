"""LLaVA-OneVision: SigLIP, and a video in which each frame's patches are pooled to a quarter."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import LlavaOnevisionForConditionalGeneration

from gaze_vlm.backbones.collator import Media
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.parts import ModelParts, parameters_of


class LlavaOnevision(Llava):
    """`llava-hf/llava-onevision-qwen2-7b-ov-hf` and its kin.

    A clip is one video: its frames' tokens in a row, and a newline behind them, which the block does not see.
    """

    model_class: ClassVar[Any] = LlavaOnevisionForConditionalGeneration
    media: Media = "video"
    pooled: ClassVar[int] = 2
    has_class_token = False
    tokens_after_clip: ClassVar[int] = 1  # the newline

    def parts(self) -> ModelParts:
        parts = super().parts()
        return {**parts, "projector": [*parts["projector"], nn.ParameterList([self.hf.model.image_newline])]}

    def unused_parameters(self) -> list[nn.Parameter]:
        tower = self.hf.model.vision_tower
        return [*super().unused_parameters(), *parameters_of([tower.head] if tower.use_head else [])]

    def through_block(self, features: Tensor, clips: int) -> Tensor:
        patches = len(self.layout.language)
        whole = features.shape[1] // patches * patches  # the newline is there, or the library adds it later
        return torch.cat([super().through_block(features[:, :whole], clips), features[:, whole:]], dim=1)
