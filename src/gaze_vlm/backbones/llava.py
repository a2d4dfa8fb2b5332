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
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import View

TOWERS = {"clip_vision_model": True, "dinov2": True, "siglip_vision_model": False}  # whether it has a class token
LLAVA_PROCESSORS = (LlavaImageProcessor, LlavaImageProcessorPil)


class Llava(Backbone):
    """`llava-hf/llava-1.5-7b-hf` and its kin.

    Frames are squashed to the tower's size: no centre crop, so that no gaze falls outside.
    """

    model_class: ClassVar[Any] = LlavaForConditionalGeneration
    image_options: ClassVar[dict[str, bool]] = {"do_resize": False, "do_center_crop": False}

    def check_config(self, config: Any) -> None:
        checkpoint = self.options.checkpoint
        tower_has_class_token(config, checkpoint)
        if not isinstance(config.vision_feature_layer, int):
            raise InputError(
                f"{checkpoint} joins the vision layers {config.vision_feature_layer} (vision_feature_layer): one alone "
                "can be taken"
            )

    @property
    def has_class_token(self) -> bool:
        return tower_has_class_token(self.hf.config, self.options.checkpoint)

    @property
    def pooled(self) -> int:
        """Patches that make a visual token of a video, along a side."""
        return 1

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
        if hasattr(tower.encoder, "layers"):  # CLIP and SigLIP, whose last norm and head are for their pooled output
            pooling = [tower.post_layernorm, *([tower.head] if getattr(tower, "use_head", False) else [])]
            return parameters_of([*unused_layers(tower.encoder.layers, feature_layer), *pooling])
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


def tower_has_class_token(config: Any, checkpoint: str) -> bool:
    """Whether the tower's sequence begins with a class token, which the model then leaves out of the visual tokens.

    Raises:
        InputError: a tower that is not known, or a config that leaves out a patch or keeps the class token.
    """
    tower, strategy = config.vision_config.model_type, config.vision_feature_select_strategy
    if tower not in TOWERS:
        raise InputError(
            f"{checkpoint} has a {tower} as its vision tower, whose patches are not known: "
            f"choose from {', '.join(TOWERS)}"
        )
    expected = "default" if TOWERS[tower] else "full"
    if strategy != expected:
        says = "leaves out its first patch" if strategy == "default" else f"needs {expected}"
        raise InputError(
            f"{checkpoint}: vision_feature_select_strategy is {strategy}, which with a {tower} {says}: set it to "
            f"{expected} in config.json, if the checkpoint was trained so"
        )
    return TOWERS[tower]
