"""LLaVA-OneVision: SigLIP, and a video in which each frame's patches are pooled to a quarter."""

from math import ceil
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn
from transformers import LlavaOnevisionForConditionalGeneration

from gaze_vlm.backbones.base import Backbone, Part
from gaze_vlm.backbones.collator import Media
from gaze_vlm.backbones.layout import Layout
from gaze_vlm.gaze.view import Grid


class LlavaOnevision(Backbone):
    """`llava-hf/llava-onevision-qwen2-7b-ov-hf` and its kin. A clip goes in as one video: its frames' tokens in a row
    and a newline behind them, which goes past the block."""

    model_class: ClassVar[Any] = LlavaOnevisionForConditionalGeneration
    media: ClassVar[Media] = "video"
    features_method: ClassVar[str] = "get_video_features"

    def parts(self) -> dict[Part, list[nn.Module]]:
        model = self.hf.model
        return {
            "vision": [model.vision_tower],
            "projector": [model.multi_modal_projector, nn.ParameterList([model.image_newline])],
            "language": [model.language_model, self.hf.lm_head],
        }

    def vit_attention_modules(self) -> dict[int, nn.Module]:
        layers = self.hf.model.vision_tower.encoder.layers
        used = range(len(layers) + 1)[self.hf.config.vision_feature_layer]
        return {i: layer.self_attn for i, layer in enumerate(layers[:used])}

    def through_block(self, features: Tensor) -> Tensor:
        count = self._frames * len(self.layout.language)
        frames, newline = features[:, :count], features[:, count:]
        frames = rearrange(frames, "batch (frame patch) width -> (batch frame) patch width", frame=self._frames)
        tokens: Tensor = super().through_block(frames)
        tokens = rearrange(tokens, "(batch frame) token width -> batch (frame token) width", frame=self._frames)
        return torch.cat([tokens, newline], dim=1)

    def prepare(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The frames of a clip as one video."""
        prepared = super().prepare(inputs)
        prepared["pixel_values_videos"] = prepared.pop("pixel_values").unflatten(0, (-1, self._frames))
        return prepared

    @property
    def visual_token(self) -> int:
        return int(self.hf.config.video_token_id)

    @property
    def tokens_after_clip(self) -> int:
        return 1  # the newline

    @property
    def has_class_token(self) -> bool:
        return False

    @property
    def own_frame_size_px(self) -> tuple[int, int]:
        size = self.hf.config.vision_config.image_size
        return size, size

    @property
    def layout(self) -> Layout:
        vision = self.hf.config.vision_config
        side = vision.image_size // vision.patch_size
        pooled = ceil(side / 2)
        covered = side * vision.patch_size / vision.image_size  # 384 is no multiple of 14
        return Layout(vit=Grid(side, side), language=Grid(pooled, pooled), covered=covered)
