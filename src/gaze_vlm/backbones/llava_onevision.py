"""LLaVA-OneVision: SigLIP, and a video in which each frame's patches are pooled to a quarter."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import LlavaOnevisionForConditionalGeneration
from transformers.models.llava_onevision.modeling_llava_onevision import image_size_to_num_patches

from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.parts import ModelParts
from gaze_vlm.backbones.placement import Medium, VisualTokens
from gaze_vlm.gaze.view import WHOLE_FRAME, View


class LlavaOnevision(Llava):
    """`llava-hf/llava-onevision-qwen2-7b-ov-hf` and its kin.

    A clip is one video: its frames' tokens in a row, and a newline behind them, which the block does not see.
    """

    model_class: ClassVar[Any] = LlavaOnevisionForConditionalGeneration
    media: Media = "video"
    tokens_after_clip: ClassVar[int] = 1  # the newline

    @property
    def pooled(self) -> int:
        return 2  # in the library's code

    def parts(self) -> ModelParts:
        parts = super().parts()
        return {**parts, "projector": [*parts["projector"], nn.ParameterList([self.hf.model.image_newline])]}

    def medium(self, media: Media, number: int, visual: VisualTokens, inputs: Mapping[str, Any]) -> Medium:
        if media == "video":
            return super().medium(media, number, visual, inputs)
        layout = self.layout_of("image")
        counts = torch.as_tensor(inputs["batch_num_images"])
        if counts.repeat_interleave(counts)[number] > 1:  # of several images each is one picture, and a newline
            return Medium(layout, len(layout.language) + 1, is_padded=True)
        # The whole comes before its tiles, whose tokens lie in lines.
        config = self.hf.config
        pictures = image_size_to_num_patches(
            inputs["image_sizes"][number], config.image_grid_pinpoints, config.vision_config.image_size
        )
        return Medium(layout, visual.remaining(self.hf.config.image_token_id), rows=pictures)

    def processed_view(self, processor: Any, media: Media, medium: Medium, aspect: float) -> View:
        if media == "image" and not medium.is_padded:
            return WHOLE_FRAME
        return super().processed_view(processor, media, medium, aspect)

    def through_block(self, features: Tensor, clips: int) -> Tensor:
        patches = len(self.layout.language)
        whole = features.shape[1] // patches * patches  # the newline is there, or the library adds it later
        return torch.cat([super().through_block(features[:, :whole], clips), features[:, whole:]], dim=1)
