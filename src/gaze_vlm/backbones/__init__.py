"""Vision-language models behind one interface; choose one by `class_path` in a YAML."""

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.internvl import InternVL
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.llava_next_video import LlavaNextVideo
from gaze_vlm.backbones.llava_onevision import LlavaOnevision
from gaze_vlm.backbones.lora import Lora
from gaze_vlm.backbones.narrator import Narrator
from gaze_vlm.backbones.passes import BackboneOutput
from gaze_vlm.backbones.qwen_vl import QwenVL
from gaze_vlm.backbones.smolvlm import SmolVLM

__all__ = [
    "Backbone",
    "BackboneOutput",
    "InternVL",
    "Llava",
    "LlavaNextVideo",
    "LlavaOnevision",
    "Lora",
    "Narrator",
    "QwenVL",
    "SmolVLM",
]
