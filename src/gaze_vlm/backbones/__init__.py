"""Vision-language models behind one interface; choose one by `class_path` in a YAML."""

from gaze_vlm.backbones.base import Backbone, BackboneOutput
from gaze_vlm.backbones.llava import Llava

__all__ = ["Backbone", "BackboneOutput", "Llava"]
