"""A narrator: a vision transformer of timm, and GPT-2 with cross-attention over all frames' patch tokens."""

from functools import partial
from math import log
from typing import Any, ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from timm.layers import use_reentrant_ckpt
from torch import Tensor, nn
from transformers import VisionEncoderDecoderModel

from gaze_vlm.attention.capture import AttentionCapture
from gaze_vlm.attention.fused_capture import FusedCapture
from gaze_vlm.attention.sources import NO_PLACEHOLDER
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.layout import Layout
from gaze_vlm.backbones.parts import ModelParts, parameters_of
from gaze_vlm.backbones.visual_features import ClipFeatures, FeatureSeam, hidden_states_output
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid


class Narrator(Backbone):
    """A `VisionEncoderDecoderModel` of a timm tower and GPT-2, as `gaze-vlm narrator` makes one.

    It is in the manner of LaViLa's narrator, with an image tower that sees each frame by itself. The text has no
    placeholders. The decoder's cross-attention reads a memory beside it: the patch tokens of all frames in a row. Each
    has the sinusoidal embedding of its frame's index, since their order would not be seen without.
    """

    model_class: ClassVar[Any] = VisionEncoderDecoderModel
    config_names: ClassVar[tuple[str, str]] = ("encoder", "decoder")
    vision_attention: ClassVar[str | None] = None  # timm has its own, and transformers 5.10 refuses any other by name
    vision_capture: ClassVar[type[AttentionCapture]] = FusedCapture
    visual_token = NO_PLACEHOLDER

    def parts(self) -> ModelParts:
        """List the modules by part.

        The cross-attention lies inside the decoder and belongs to the projector, as it is new to the language model.
        """
        layers = self.hf.decoder.transformer.h
        new = [module for layer in layers for module in (layer.ln_cross_attn, layer.crossattention)]
        return {"vision": [self.hf.encoder], "language": [self.hf.decoder], "projector": [self.projection, *new]}

    def unused_parameters(self) -> list[nn.Parameter]:
        tower = self.hf.encoder.timm_model
        heads = [getattr(tower, name, None) for name in ("attn_pool", "fc_norm", "head", "head_dist")]
        return parameters_of([head for head in heads if head is not None])

    @property
    def projection(self) -> nn.Module:
        """The layer from the tower's width to the decoder's; the library has none where they are equal."""
        return getattr(self.hf, "enc_to_dec_proj", nn.Identity())

    @property
    def generative_model(self) -> Any:
        return self.hf.decoder

    def prepare(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Run the tower: the decoder reads its tokens as a memory, after the block."""
        prepared, (clips, frames) = super().prepare(inputs), inputs["pixel_values"].shape[:2]
        features = self.hf.encoder(prepared.pop("pixel_values")).last_hidden_state[:, self.prefix_tokens :]
        tokens = self.projection(features)
        tokens = tokens if self.block is None else self.through_block(tokens, clips)
        tokens = rearrange(tokens, "(batch frame) token width -> batch frame token width", frame=frames)
        time = frame_embedding(frames, tokens.shape[-1]).to(tokens)
        tokens = tokens + rearrange(time, "frame width -> frame 1 width")
        prepared["encoder_hidden_states"] = rearrange(tokens, "batch frame token width -> batch (frame token) width")
        return prepared

    def rewrite_visual_tokens(self) -> None:
        """Do nothing: `prepare` passes them through the block."""

    def encoding_modules(self) -> list[nn.Module]:
        return [self.hf.encoder]

    @property
    def features_of_group(self) -> tuple[int, int]:
        return self.prefix_tokens + len(self.layout.vit), self.hf.encoder.timm_model.num_features

    def feature_seam(self) -> FeatureSeam:
        """Give what the tower makes: it may be frozen where the projector is not."""
        return FeatureSeam(self.hf.encoder, "forward", partial(hidden_states_output, layer=None))

    def encode(self, pixel_values: Float[Tensor, "clip group ..."]) -> ClipFeatures:
        hidden: Tensor = self.seam.original(pixel_values.flatten(0, 1)).last_hidden_state
        return hidden.unflatten(0, pixel_values.shape[:2])

    def checkpoint_activations(self) -> None:
        """Checkpoint both towers; the library knows the decoder alone.

        Raises:
            InputError: timm would do so re-entrantly.
        """
        super().checkpoint_activations()
        if use_reentrant_ckpt():
            raise InputError(
                "timm would checkpoint re-entrantly, which cuts the gradient of the captured attention: "
                "unset TIMM_REENTRANT_CKPT"
            )
        self.hf.encoder.timm_model.set_grad_checkpointing()

    def vit_attention_modules(self) -> dict[int, nn.Module]:
        return {i: layer.attn for i, layer in enumerate(self.hf.encoder.timm_model.blocks)}

    def language_attention_modules(self) -> dict[int, nn.Module]:
        return {i: layer.crossattention for i, layer in enumerate(self.hf.decoder.transformer.h)}

    @property
    def has_class_token(self) -> bool:
        return getattr(self.hf.encoder.timm_model, "cls_token", None) is not None

    @property
    def prefix_tokens(self) -> int:
        return int(self.hf.encoder.timm_model.num_prefix_tokens)

    @property
    def own_frame_size_px(self) -> tuple[int, int]:
        height, width = self.hf.encoder.timm_model.patch_embed.img_size
        return height, width

    @property
    def layout(self) -> Layout:
        grid = Grid(*self.hf.encoder.timm_model.patch_embed.grid_size)
        return Layout(vit=grid, language=grid)


def frame_embedding(frames: int, width: int) -> Float[Tensor, "frame width"]:
    """Compute sinusoids of the frame's index less those of the first frame.

    Vaswani et al. 2017, §3.5. A single frame is left as it is. The periods go from 2π to 20,000π frames.
    """
    frequencies = torch.exp(torch.arange(0, width, 2) * (-log(10_000) / width))
    angles = torch.arange(frames)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos() - 1], dim=-1).flatten(1)[:, :width]
