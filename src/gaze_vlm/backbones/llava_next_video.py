"""LLaVA-NeXT-Video: LLaVA with a video in which each frame's patches are pooled to a quarter."""

from collections.abc import Mapping
from typing import Any, ClassVar

from transformers import LlavaNextVideoForConditionalGeneration

from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.placement import Medium, VisualTokens
from gaze_vlm.errors import InputError


class LlavaNextVideo(Llava):
    """`llava-hf/LLaVA-NeXT-Video-7B-hf` and its kin.

    A clip is one video: its frames' tokens in a row. Tiles and newlines are of images alone.
    """

    model_class: ClassVar[Any] = LlavaNextVideoForConditionalGeneration
    media: Media = "video"

    def check_config(self, config: Any) -> None:
        super().check_config(config)
        side, stride = config.vision_config.image_size // config.vision_config.patch_size, config.spatial_pool_stride
        if side % stride:
            raise InputError(
                f"{self.options.checkpoint}: spatial_pool_stride {stride} leaves patches out of {side} a side: it must "
                "divide them"
            )

    @property
    def pooled(self) -> int:
        return int(self.hf.config.spatial_pool_stride)

    def medium(self, media: Media, number: int, visual: VisualTokens, inputs: Mapping[str, Any]) -> Medium:
        if media == "image":
            raise InputError(
                "a LLaVA-NeXT-Video cuts an image into tiles and lines: give it a video, be it of one frame"
            )
        return super().medium(media, number, visual, inputs)
