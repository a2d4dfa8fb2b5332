"""What only a model family knows; `Backbone` has everything else.

CONTRIBUTING.md, "Add a backbone", lists the steps.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze_vlm.attention.capture import CAPTURING_SDPA, AttentionCapture
from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.backbones.layout import Layout
from gaze_vlm.backbones.loading import checkpoint_activations
from gaze_vlm.backbones.options import BackboneOptions
from gaze_vlm.backbones.parts import ModelParts
from gaze_vlm.backbones.placement import Medium, VisualTokens
from gaze_vlm.backbones.visual_features import ClipFeatures, FeatureSeam, visual_tokens, visual_tokens_output
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import WHOLE_FRAME, Grid, View


class ModelFamily(nn.Module, ABC):
    """How a family's model is loaded, and where its grids, attention and visual tokens are.

    What is abstract differs in every family. The rest suits most; its docstring says when to change it.
    """

    model_class: ClassVar[Any]  # of `transformers`: native, or one of its Auto classes
    image_options: ClassVar[dict[str, bool]] = {"do_resize": False}  # leave a frame's size as the view made it
    media: Media = "image"  # what a clip is to the model: an image a frame, or one video
    config_names: ClassVar[tuple[str, str]] = ("vision_config", "text_config")  # of the tower and the language model
    vision_attention: ClassVar[str | None] = CAPTURING_SDPA  # the tower's attention function; None leaves it its own
    vision_capture: ClassVar[type[AttentionCapture]] = AttentionCapture
    tokens_after_clip: ClassVar[int] = 0  # placeholders behind those of a clip's frames
    tokens_by_image: ClassVar[bool] = False  # whether the features method returns a tensor for each image

    options: BackboneOptions
    hf: Any  # the `transformers` model
    seam: FeatureSeam

    @property
    def model_types(self) -> tuple[str, ...]:
        """The `model_type` that a checkpoint's config may have."""
        return (self.model_class.config_class.model_type,)

    def check_config(self, config: Any) -> None:
        """Refuse a checkpoint that the family cannot serve, before its weights are read; here none.

        Args:
            config: the checkpoint's, of one of `model_types`.

        Raises:
            InputError: naming what of it cannot be served.
        """

    def parts(self) -> ModelParts:
        """List the model's modules by part; here by the names that most families give them.

        A part inside another's modules stands behind it.
        """
        model = self.hf.model
        return {
            "vision": [model.vision_tower],
            "projector": [model.multi_modal_projector],
            "language": [model.language_model, self.hf.lm_head],
        }

    def unused_parameters(self) -> list[nn.Parameter]:
        """List the parameters that no clip passes through.

        They stay frozen even where their part is trained: processes that train together would wait for their gradients.
        """
        return []

    @abstractmethod
    def vit_attention_modules(self) -> dict[int, nn.Module]:
        """List the vision tower's attention modules by layer.

        Those whose output the model uses, and in which the patches of a frame attend to all of it.
        """

    def language_attention_modules(self) -> dict[int, nn.Module]:
        """List the language model's attention modules by layer."""
        return {i: layer.self_attn for i, layer in enumerate(self.parts()["language"][0].layers)}  # type: ignore[union-attr, arg-type]

    @property
    @abstractmethod
    def has_class_token(self) -> bool:
        """Whether the vision tower's sequence begins with a class token."""

    @property
    def prefix_tokens(self) -> int:
        """Tokens of the vision tower's sequence before the patches: the class token, registers."""
        return int(self.has_class_token)

    @property
    def own_frame_size_px(self) -> tuple[int, int]:
        """Height and width of a frame that suit the model."""
        size = self.hf.config.vision_config.image_size
        height, width = (size, size) if isinstance(size, int) else size
        return height, width

    @property
    def frame_unit_px(self) -> int | None:
        """Legal heights and widths are its multiples; None where the model's own size alone is."""
        return None

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The grids of a frame of `frame_size_px`."""

    @property
    def patch_positions(self) -> list[int] | None:
        """Places of the patches of a frame in the vision tower's sequence; see `positions_on`."""
        return self.positions_on(self.layout.vit)

    def positions_on(self, grid: Grid) -> list[int] | None:
        """Return the places of a grid's patches in the vision tower's sequence, row by row; None: in order."""
        return None

    @property
    def has_deepstack(self) -> bool:
        """Whether the language model adds features of several vision layers to the patch tokens.

        It then needs the patch tokens in place.
        """
        return False

    @property
    def features_method(self) -> str:
        """The model's method that makes visual tokens of a clip."""
        return f"get_{self.media}_features"

    @property
    def visual_token(self) -> int:
        """Id of the placeholder of one visual token.

        NO_PLACEHOLDER where the text has none, since the language model reads them by cross-attention.
        """
        return int(getattr(self.hf.config, f"{self.media}_token_id"))

    # What the model's own processor makes (`placement.py`).

    @property
    def media_tokens(self) -> dict[int, Media]:
        """What stands for the visual tokens of images and of videos, by id."""
        kinds: tuple[Media, ...] = ("image", "video")
        ids = {getattr(self.hf.config, f"{media}_token_id", None): media for media in kinds}
        return {int(id_): media for id_, media in ids.items() if id_ is not None}

    def medium(self, media: Media, number: int, visual: VisualTokens, inputs: Mapping[str, Any]) -> Medium:
        """Return the next image or video of a text.

        Args:
            media: which of the two.
            number: how many of its kind come before it in the batch.
            visual: the tokens of the text, with the first of its own as the next.
            inputs: what the processor made.

        Raises:
            InputError: the family reads no such media.
        """
        raise InputError(f"{type(self).__name__} reads no {media} through visual tokens of its text")

    def processed_view(self, processor: Any, media: Media, medium: Medium, aspect: float) -> View:
        """Return the part of a frame that is left of it by the model's own processor.

        It is the whole frame, resized, for those that crop nothing.

        Args:
            processor: the model's.
            media: whether it is an image or of a video.
            medium: how the model reads it.
            aspect: the frame's width over its height.
        """
        return WHOLE_FRAME

    @property
    def generative_model(self) -> Any:
        """The model that generates from what `prepare` makes."""
        return self.hf

    def encoding_modules(self) -> list[nn.Module]:
        """List the modules that make features of frames; they do not run where these are given."""
        parts = self.parts()
        return [*parts["vision"], *parts["projector"]]

    @property
    def features_of_group(self) -> tuple[int, int]:
        """Tokens and width of the features of a frame group."""
        return len(self.layout.language), self.hf.get_input_embeddings().embedding_dim

    def feature_seam(self) -> FeatureSeam:
        """Make the place at which features are given; here of the visual tokens."""
        width = self.hf.get_input_embeddings().embedding_dim
        output = partial(visual_tokens_output, width=width, by_image=self.tokens_by_image)
        return FeatureSeam(self.hf.model, self.features_method, output)

    def visual_inputs(self, pixel_values: Float[Tensor, "clip group ..."]) -> dict[str, Tensor]:
        """Make the model's own inputs of pixels; frames of all clips stand in one row."""
        return {"pixel_values": pixel_values.flatten(0, 1)}

    def encode(self, pixel_values: Float[Tensor, "clip group ..."]) -> ClipFeatures:
        """Make the features of frames that `feature_seam` can give; here the visual tokens."""
        clips, groups = pixel_values.shape[:2]
        output = self.seam.original(**self.visual_inputs(pixel_values))
        return visual_tokens(output, clips * groups).unflatten(0, (clips, groups))

    def next_positions(self, positions: Int[Tensor, "batch token"]) -> Int[Tensor, "..."]:
        """Return the model's positions of tokens at these places behind what was read."""
        return positions

    def checkpoint_activations(self) -> None:
        """Make both towers run their layers again in the backward pass."""
        checkpoint_activations(self.hf)
