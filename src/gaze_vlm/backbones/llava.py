"""LLaVA 1.5: vision tower of CLIP or DINOv2, MLP projector, one prompt image a frame."""

from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.cached_vision import cache_hidden_states
from gaze_vlm.backbones.layout import Layout, square_layout
from gaze_vlm.backbones.parts import parameters_of, unused_layers, used_layers


class Llava(Backbone):
    """`llava-hf/llava-1.5-7b-hf` and its kin.

    Frames are squashed to the tower's size: no centre crop, so that no gaze falls outside.
    """

    model_class: ClassVar[Any] = LlavaForConditionalGeneration
    image_options: ClassVar[dict[str, bool]] = {"do_resize": False, "do_center_crop": False}
    pooled: ClassVar[int] = 1  # patches that make a visual token, along a side
    has_class_token = True

    def cache_vision_outputs(self, frames: int) -> None:
        cache_hidden_states(self.hf.model.vision_tower, self.hf.config.vision_feature_layer, frames)

    def vit_attention_modules(self) -> dict[int, nn.Module]:
        encoder = self.hf.model.vision_tower.encoder
        # CLIP's names, or DINOv2's, in which an attention may hold another.
        attentions = (
            [layer.self_attn for layer in encoder.layers]
            if hasattr(encoder, "layers")
            else [getattr(layer.attention, "attention", layer.attention) for layer in encoder.layer]
        )
        # LLaVA reads one hidden state, by default the one before the last layer: layers above it do not matter.
        return dict(enumerate(used_layers(attentions, self.hf.config.vision_feature_layer)))

    def unused_parameters(self) -> list[nn.Parameter]:
        tower, feature_layer = self.hf.model.vision_tower, self.hf.config.vision_feature_layer
        if hasattr(tower.encoder, "layers"):  # CLIP and SigLIP, whose last norm is for their pooled output
            return parameters_of([*unused_layers(tower.encoder.layers, feature_layer), tower.post_layernorm])
        mask = getattr(tower.embeddings, "mask_token", None)  # DINOv2's, for its own training; some have none
        above = unused_layers(tower.encoder.layer, feature_layer)
        return [*parameters_of([*above, tower.layernorm]), *([] if mask is None else [mask])]

    def prepare(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.media == "image":
            return super().prepare(inputs)
        prepared = {**super().prepare(inputs), "pixel_values_videos": inputs["pixel_values"]}
        del prepared["pixel_values"]
        return prepared

    @property
    def layout(self) -> Layout:
        vision = self.hf.config.vision_config
        return square_layout(vision.image_size, vision.patch_size, self.pooled)
