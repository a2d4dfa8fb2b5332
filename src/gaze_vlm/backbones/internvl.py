"""InternVL 3: a tower of 448 × 448 px, whose patches are shuffled four to a visual token."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from torch import nn
from transformers import InternVLForConditionalGeneration

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.backbones.collator import Collator, one_per_group
from gaze_vlm.backbones.layout import Layout
from gaze_vlm.backbones.parts import parameters_of, unused_layers, used_layers
from gaze_vlm.backbones.placement import Medium, VisualTokens
from gaze_vlm.gaze.view import Grid


class InternVL(Backbone):
    """`OpenGVLab/InternVL3-2B-hf` and its kin. A frame is one tile, as a frame of a video is."""

    model_class: ClassVar[Any] = InternVLForConditionalGeneration
    image_options: ClassVar[dict[str, bool]] = {"do_resize": False, "crop_to_patches": False}
    has_class_token = True

    def vit_attention_modules(self) -> dict[int, nn.Module]:
        layers = self.hf.model.vision_tower.encoder.layer
        return {i: layer.attention for i, layer in enumerate(used_layers(layers, self.hf.config.vision_feature_layer))}

    def unused_parameters(self) -> list[nn.Parameter]:
        tower, feature_layer = self.hf.model.vision_tower, self.hf.config.vision_feature_layer
        norm = [] if feature_layer == -1 else [tower.layernorm]  # it follows the last layer alone
        return parameters_of([*unused_layers(tower.encoder.layer, feature_layer), *norm])

    def collator(self) -> Collator:
        tokenizer = self.processor.tokenizer
        # The processor, not the template, writes the marks around a frame.
        frame = f"{tokenizer.start_image_token}{tokenizer.context_image_token}{tokenizer.end_image_token}"
        return replace(super().collator(), write=partial(one_per_group, frame))

    def medium(self, media: Media, number: int, visual: VisualTokens, inputs: Mapping[str, Any]) -> Medium:
        # Marks stand around an image and around a frame of a video. Tiles come before the whole.
        layout, tokens = self.layout, visual.run
        own = len(layout.language)
        rows = tokens // own
        return Medium(layout, tokens, skipped_tokens=tokens - own, rows=rows, skipped_rows=rows - 1)

    @property
    def layout(self) -> Layout:
        rows, columns = (
            size // patch
            for size, patch in zip(self.own_frame_size_px, self.hf.config.vision_config.patch_size, strict=True)
        )
        share = self.hf.config.downsample_ratio
        return Layout(vit=Grid(rows, columns), language=Grid(int(rows * share), int(columns * share)))
