"""LLaVA-NeXT-Video: LLaVA with a video in which each frame's patches are pooled to a quarter."""

from typing import Any, ClassVar

from transformers import LlavaNextVideoForConditionalGeneration

from gaze_vlm.backbones.collator import Media
from gaze_vlm.backbones.llava import Llava


class LlavaNextVideo(Llava):
    """`llava-hf/LLaVA-NeXT-Video-7B-hf` and its kin.

    A clip is one video: its frames' tokens in a row. Tiles and newlines are of images alone.
    """

    model_class: ClassVar[Any] = LlavaNextVideoForConditionalGeneration
    media: Media = "video"
    pooled: ClassVar[int] = 2
