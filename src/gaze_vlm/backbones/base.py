"""The backbone interface: one surface over every model family.

A family adds what only it knows (how to load, where the grid, the attention and the visual tokens are); everything
else is here. CONTRIBUTING.md, "Add a backbone", lists the steps.
"""

import re
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gaze_vlm.attention.capture import CAPTURING_SDPA, AttentionCapture
from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.attention.sources import IGNORED, NO_PLACEHOLDER, Capture
from gaze_vlm.backbones.collator import Collator, Media, one_per_group
from gaze_vlm.backbones.frozen_vision import keep_visual_tokens
from gaze_vlm.backbones.layout import Layout, check_frame_size
from gaze_vlm.backbones.loading import check_model_type, checkpoint_activations, four_bits, load_checkpoint
from gaze_vlm.backbones.lora import set_trainable
from gaze_vlm.backbones.options import BackboneOptions
from gaze_vlm.backbones.parts import ModelParts, parameters_by_part
from gaze_vlm.backbones.source import attention_source
from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid, View


@dataclass
class BackboneOutput:
    """Cross-entropy of each answer (sum over its tokens, [batch]), the number of answer tokens, and the attention of
    the backbone's source, None without one."""

    cross_entropy: Float[Tensor, "batch"]
    tokens: Float[Tensor, ""]
    attention: PatchAttention | None


class Backbone(BackboneOptions, ABC):
    """A vision-language model that describes clips and hands over where it looked."""

    # What a family adds.

    model_class: ClassVar[Any]  # of `transformers`: native, or one of its Auto classes
    image_options: ClassVar[dict[str, bool]] = {"do_resize": False}  # leave a frame's size as the view made it
    media: Media = "image"  # what a clip is to the model: an image a frame, or one video
    config_names: ClassVar[tuple[str, str]] = (
        "vision_config",
        "text_config",
    )  # the tower's and the language model's configs
    vision_attention: ClassVar[str | None] = CAPTURING_SDPA  # the tower's attention function; None leaves it its own

    @property
    def model_types(self) -> tuple[str, ...]:
        """What `model_type` a checkpoint's config may have."""
        return (self.model_class.config_class.model_type,)

    def check_checkpoint(self) -> str:
        """Refuse a checkpoint that the backbone cannot serve, before its weights are read; its `model_type`."""
        return check_model_type(self.checkpoint, type(self).__name__, self.model_types)

    def parts(self) -> ModelParts:
        """The model's modules by what they are; here by the names that most families give them. A part inside
        another's modules stands behind it."""
        model = self.hf.model
        return {
            "vision": [model.vision_tower],
            "projector": [model.multi_modal_projector],
            "language": [model.language_model, self.hf.lm_head],
        }

    def unused_parameters(self) -> list[nn.Parameter]:
        """Those that no clip passes through. They stay frozen even where their part learns: processes that train
        together would wait for their gradients."""
        return []

    @abstractmethod
    def vit_attention_modules(self) -> dict[int, nn.Module]:
        """The vision tower's attention modules by their layer: those whose output the model uses, and in which the
        patches of a frame attend to all of it."""

    def language_attention_modules(self) -> dict[int, nn.Module]:
        """The language model's attention modules by their layer."""
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
    @abstractmethod
    def own_frame_size_px(self) -> tuple[int, int]:
        """Height and width of a frame that suit the model."""

    @property
    def frame_unit_px(self) -> int | None:
        """Heights and widths that are multiples of it are legal; None where the model's own size alone is."""
        return None

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The grids of a frame of `frame_size_px`."""

    @property
    def patch_positions(self) -> list[int] | None:
        """Where in the vision tower's sequence the patches stand, row by row; None where they stand so already."""
        return None

    @property
    def features_method(self) -> str:
        """The model's method that makes visual tokens of a clip."""
        return f"get_{self.media}_features"

    @property
    def visual_token(self) -> int:
        """Id of the placeholder that stands for one visual token; NO_PLACEHOLDER where the text has none, since the
        language model reads them by cross-attention."""
        return int(getattr(self.hf.config, f"{self.media}_token_id"))

    @property
    def generative_model(self) -> Any:
        """What takes the inputs that `prepare` makes, and generates."""
        return self.hf

    @property
    def tokens_after_clip(self) -> int:
        """Placeholders behind those of a clip's frames."""
        return 0

    def keep_vision_outputs(self, frames: int) -> None:
        """Make frozen modules remember what they made of the last so many frames; here the visual tokens."""
        parts = self.parts()
        keep_visual_tokens(self.hf.model, self.features_method, [*parts["vision"], *parts["projector"]], frames)

    def checkpoint_activations(self) -> None:
        """Make both towers run their layers again in the backward pass."""
        checkpoint_activations(self.hf)

    # What all share.

    def load(self, weights: bool = True) -> None:
        """Load the weights, set what is trainable, and install block, seam and capture. Does nothing the second time.

        Args:
            weights: read them; without, everything lies on the meta device, where it has shapes and takes no memory.

        Raises:
            FileNotFoundError: the checkpoint is a path without a model.
            ValueError: a checkpoint of another family, or a part or a layer that the model does not have.
        """
        if self.hf is not None:
            return
        vision, language = self.config_names
        attention = {vision: self.vision_attention, language: CAPTURING_SDPA if self.language_layers else "sdpa"}
        self.check_checkpoint()
        load = partial(load_checkpoint, self.model_class, self.checkpoint, self.dtype, attention)
        self.hf, self.processor = load(weights=weights and self.quantization is None)
        if weights and self.quantization is not None:
            self.hf, self.processor = load(quantized=four_bits(self.hf, self.parts(), self.train_parts))
        check_frame_size(self.frame_size_px, self.own_frame_size_px, self.frame_unit_px, self.checkpoint)
        self.hf.train()  # from_pretrained leaves eval mode, in which gradient checkpointing is silently off
        with nullcontext() if weights else torch.device("meta"):
            set_trainable(self.hf, self.parts(), self.train_parts, self.lora, set(self.unused_parameters()))
            if self.make_block is not None:
                self.block = self.make_block(self.hf.get_input_embeddings().embedding_dim)
        if self.gradient_checkpointing:
            self.checkpoint_activations()
        if self.cached_frames:
            if self.vit_layers:
                raise InputError("cached_frames skips the vision tower, vit_layers look into it: set one of them")
            self.keep_vision_outputs(self.cached_frames)
        if self.block is not None:
            self.rewrite_visual_tokens()
        self.source = attention_source(self)

    def parameters_by_part(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, by part and `block`; each once."""
        parts = parameters_by_part(self.parts())
        if self.block is not None:
            parts["block"] = list(self.block.parameters())
        return parts

    def trainable_parameters(self) -> dict[str, list[nn.Parameter]]:
        """Those that learn, likewise."""
        return {name: [p for p in own if p.requires_grad] for name, own in self.parameters_by_part().items()}

    def capture_of(self, modules: list[nn.Module]) -> Capture:
        """What captures the vision tower's attention modules."""
        return AttentionCapture(modules)

    @property
    def hands_over_attention(self) -> bool:
        """Whether there is an attention that a regularizer could pull."""
        return self.make_block is not None or bool(self.vit_layers or self.language_layers)

    @property
    def frame_size_px(self) -> tuple[int, int]:
        """Height and width of a frame at the vision tower."""
        return self.asked_frame_size_px or self.own_frame_size_px

    @property
    def grid(self) -> Grid:
        """Patches of a frame, for the source that the backbone hands over."""
        return self.layout.vit if self.vit_layers else self.layout.language

    @property
    def covered_view(self) -> View:
        """The part of the view that the grid covers."""
        left, top = self.view.left, self.view.top
        width, height = (side * self.layout.covered for side in self.view.size)
        return View(left, top, left + width, top + height)

    @property
    def tokens_per_frame(self) -> int:
        """Visual tokens that the language model reads for a frame."""
        patches = len(self.layout.language)
        return patches if self.block is None else self.block.tokens_per_frame(patches)

    def collator(self) -> Collator:
        """Collates clips for this model; holds its processor and none of its weights."""
        height_px, width_px = self.frame_size_px
        token = ""
        if self.visual_token != NO_PLACEHOLDER:
            token = self.processor.tokenizer.convert_ids_to_tokens(self.visual_token)
        return Collator(
            processor=self.processor,
            media=self.media,
            placeholder=re.escape(token),
            write=partial(one_per_group, token),
            visual_token=self.visual_token,
            tokens_per_frame=self.tokens_per_frame,
            tokens_after_clip=self.tokens_after_clip,
            frames_per_group=self.layout.frames_per_group,
            grid=self.grid,
            height_px=height_px,
            width_px=width_px,
            view=self.view,
            covered_view=self.covered_view,
            min_mass_in_view=self.min_mass_in_view,
            max_target_tokens=self.max_target_tokens,
            image_options=self.image_options,
        )

    def rewrite_visual_tokens(self) -> None:
        """Pass the model's visual tokens through the block, wherever the library asks for them."""
        original = getattr(self.hf.model, self.features_method)

        @wraps(original)  # generation reads the signature
        def with_block(*args: Any, **kwargs: Any) -> Any:
            features = original(*args, **kwargs)
            features.pooler_output = self.through_block(features.pooler_output)
            return features

        setattr(self.hf.model, self.features_method, with_block)

    def through_block(self, features: Any) -> Any:
        """Visual tokens of images [image, patch, width] or of clips [clip, frame · patch, width], as a tensor or a
        sequence of one an image or clip, rewritten; the same kind."""
        assert self.block is not None
        tokens = features if isinstance(features, Tensor) else torch.stack(list(features))
        count, width = len(tokens), tokens.shape[-1]
        tokens, _ = self.block(tokens.reshape(-1, self._frames, len(self.layout.language), width))
        tokens = tokens.reshape(count, -1, width)
        return tokens if isinstance(features, Tensor) else list(tokens)

    def forward(self, batch: Batch) -> BackboneOutput:
        """Teacher-forced cross-entropy of the targets, and the attention. Reads no gaze."""
        inputs = dict(batch.inputs)
        labels = inputs.pop("labels")
        longest = int((labels != IGNORED).sum(1).max())
        capturing: AbstractContextManager[None] = nullcontext() if self.source is None else self.source.capturing()
        with capturing:
            # Answers end at the right edge, so the head runs on that edge alone.
            logits = self.generative_model(**self.prepare(inputs), logits_to_keep=longest + 1, use_cache=False).logits
        ids = inputs["input_ids"]
        attention = None if self.source is None else self.source.pop(self._frames, ids, labels)
        labels = labels[:, -longest:]
        cross_entropy = functional.cross_entropy(
            rearrange(logits[:, :-1].float(), "batch token word -> batch word token"),
            labels,
            ignore_index=IGNORED,
            reduction="none",
        )
        return BackboneOutput(cross_entropy.sum(1), (labels != IGNORED).sum().float(), attention)

    def prepare(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The model's own inputs: frames of all clips in one row, and positions that skip the padding."""
        pixel_values = inputs["pixel_values"]
        self._frames = pixel_values.shape[1]
        return {
            **inputs,
            "pixel_values": rearrange(pixel_values, "batch frame ... -> (batch frame) ..."),
            "position_ids": (inputs["attention_mask"].cumsum(1) - 1).clamp_min(0),
        }

    @torch.no_grad()
    def generate(self, prompts: dict[str, Tensor]) -> list[str]:
        """Greedy answers from frames and text alone."""
        inputs = self.prepare(prompts)
        inputs.pop("position_ids", None)  # generation makes them, from the same mask
        answers = self.generative_model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        answers = answers[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)]
