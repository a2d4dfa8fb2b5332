"""LLaVA 1.5: vision tower of CLIP or DINOv2, MLP projector, one prompt image a frame."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration
from transformers.models.llava.image_processing_llava import LlavaImageProcessor
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.backbones.layout import Layout, processed_view, square_layout
from gaze_vlm.backbones.parts import parameters_of, unused_layers, used_layers
from gaze_vlm.backbones.placement import Medium, VisualTokens
from gaze_vlm.backbones.visual_features import ClipFeatures, FeatureSeam, hidden_states_output
from gaze_vlm.gaze.view import View

LLAVA_PROCESSORS = (LlavaImageProcessor, LlavaImageProcessorPil)


class Llava(Backbone):
    """`llava-hf/llava-1.5-7b-hf` and its kin.

    Frames are squashed to the tower's size: no centre crop, so that no gaze falls outside.
    """

    model_class: ClassVar[Any] = LlavaForConditionalGeneration
    image_options: ClassVar[dict[str, bool]] = {"do_resize": False, "do_center_crop": False}
    pooled: ClassVar[int] = 1  # patches that make a visual token, along a side
    has_class_token = True

    def encoding_modules(self) -> list[nn.Module]:
        return [self.hf.model.vision_tower]

    @property
    def features_of_group(self) -> tuple[int, int]:
        return self.prefix_tokens + len(self.layout.vit), self.hf.config.vision_config.hidden_size

    def feature_seam(self) -> FeatureSeam:
        """Give what the tower makes: it may be frozen where the projector is not."""
        layer = self.hf.config.vision_feature_layer
        return FeatureSeam(self.hf.model.vision_tower, "forward", partial(hidden_states_output, layer=layer))

    def encode(self, pixel_values: Float[Tensor, "clip group ..."]) -> ClipFeatures:
        output = self.seam.original(pixel_values.flatten(0, 1), output_hidden_states=True)
        hidden: Tensor = output.hidden_states[self.hf.config.vision_feature_layer]
        return hidden.unflatten(0, pixel_values.shape[:2])

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

    def visual_inputs(self, pixel_values: Float[Tensor, "clip frame ..."]) -> dict[str, Tensor]:
        return super().visual_inputs(pixel_values) if self.media == "image" else {"pixel_values_videos": pixel_values}

    @property
    def layout(self) -> Layout:
        return self.layout_of(self.media)

    def layout_of(self, media: Media) -> Layout:
        """Return the layout of an image, or of a frame of a video."""
        vision = self.hf.config.vision_config
        return square_layout(vision.image_size, vision.patch_size, self.pooled if media == "video" else 1)

    def medium(self, media: Media, number: int, visual: VisualTokens, inputs: Mapping[str, Any]) -> Medium:
        layout = self.layout_of(media)
        if media == "image":
            return Medium(layout, len(layout.language))
        frames = inputs["pixel_values_videos"].shape[1]
        tokens = frames * len(layout.language) + self.tokens_after_clip
        return Medium(layout, tokens, groups=frames, rows=frames)

    def processed_view(self, processor: Any, media: Media, medium: Medium, aspect: float) -> View:
        own = processor.image_processor if media == "image" else processor.video_processor
        # A CLIP processor pads to a size of its own, if at all; LLaVA's to a square.
        is_padded = medium.is_padded or (isinstance(own, LLAVA_PROCESSORS) and bool(own.do_pad))
        return processed_view(own, aspect, is_padded)
