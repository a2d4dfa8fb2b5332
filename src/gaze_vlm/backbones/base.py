"""One interface over every model family: load, forward pass with attention, generation."""

import re
from contextlib import nullcontext
from dataclasses import replace
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor, nn

from gaze_vlm.attention.block import GazeBlock
from gaze_vlm.attention.capture import CAPTURING_SDPA, AttentionCapture, use_capturing_attention
from gaze_vlm.attention.sources import (
    NO_PLACEHOLDER,
    AttentionSource,
    BlockSource,
    LanguageSource,
    Tower,
    VitSource,
    choose_layers,
)
from gaze_vlm.backbones.collator import Collator, one_per_group
from gaze_vlm.backbones.layout import check_frame_size, covered_part
from gaze_vlm.backbones.loading import check_model_type, four_bit_config, load_checkpoint
from gaze_vlm.backbones.lora import set_trainable
from gaze_vlm.backbones.options import BackboneOptions
from gaze_vlm.backbones.parts import parameters_by_part
from gaze_vlm.backbones.passes import ModelPasses
from gaze_vlm.backbones.processor_checks import check_processor
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid, View
from gaze_vlm.home import in_home


class Backbone(ModelPasses):
    """A vision-language model that describes clips and reports where it looked.

    Args:
        checkpoint: folder, hub name or shipped name of a native `transformers` checkpoint with its processor.
        options: the others of `BackboneOptions`.
    """

    def __init__(self, checkpoint: str, **options: Any) -> None:
        super().__init__()
        self.options = BackboneOptions(in_home(checkpoint), **options)
        self.hf: Any = None
        self.processor: Any = None
        self.block: GazeBlock | None = None
        self.source: AttentionSource | None = None

    def load(self, weights: bool = True) -> None:
        """Load the model and make it ready for training; do nothing the second time.

        Args:
            weights: read them; without, everything lies on the meta device, where it has shapes and takes no memory.

        Raises:
            MissingFileError: the checkpoint is a path without a model.
            InputError: a checkpoint of another family, or a part or a layer that the model does not have.
        """
        if self.hf is not None:
            return
        self.check_config(check_model_type(self.options.checkpoint, type(self).__name__, self.model_types))
        self.load_model(weights)
        self.check_processor()
        check_frame_size(self.frame_size_px, self.own_frame_size_px, self.frame_unit_px, self.options.checkpoint)
        with nullcontext() if weights else torch.device("meta"):
            self.add_trainable_weights()
        if self.options.gradient_checkpointing:
            self.checkpoint_activations()
        if self.has_frozen_features:
            for module in self.encoding_modules():
                module.eval()  # without dropout: a clip's features are the same whenever they are made
        self.seam = self.feature_seam()
        if self.block is not None:
            self.rewrite_visual_tokens()
        self.source = self.attention_source()

    def load_model(self, weights: bool) -> None:
        """Load the model, in 4 bits where that is asked for, and its processor."""
        options = self.options
        vision, language = self.config_names
        attention = {vision: self.vision_attention, language: CAPTURING_SDPA if options.language_layers else "sdpa"}
        load = partial(load_checkpoint, self.model_class, options.checkpoint, options.dtype, attention)
        self.hf, self.processor = load(weights=weights and options.quantization is None)
        if weights and options.quantization is not None:
            self.hf, self.processor = load(quantized=four_bit_config(self.hf, self.parts(), options.train))
        self.hf.train()  # from_pretrained leaves eval mode, in which gradient checkpointing is silently off

    def check_processor(self) -> None:
        """Refuse a processor that is not the model's.

        Raises:
            InputError: see `processor_checks.check_processor`.
        """
        check_processor(self.processor, self.hf.config, self.media, self.options.checkpoint)

    def add_trainable_weights(self) -> None:
        """Choose the trainable parameters, add LoRA, and make the gaze block."""
        options = self.options
        set_trainable(self.hf, self.parts(), options.train, options.lora, set(self.unused_parameters()))
        if options.block is not None:
            self.block = options.block(self.hf.get_input_embeddings().embedding_dim)

    def attention_source(self) -> AttentionSource | None:
        """Make the source of the attention that is regularized; None without one.

        Raises:
            InputError: layers that the model does not have, or of both of its towers.
        """
        vit_layers, language_layers, heads = self.options.vit_layers, self.options.language_layers, self.options.heads
        if vit_layers and language_layers:
            raise InputError("vit_layers and language_layers attend over different grids: set one of them")
        if vit_layers:
            modules = choose_layers(self.vit_attention_modules(), vit_layers, "vit_layers")
            return VitSource(
                grid=self.grid,
                layer_numbers=[*modules],
                heads=heads,
                capture=self.vision_capture([*modules.values()]),
                class_token=self.has_class_token,
                prefix=self.prefix_tokens,
                positions=self.patch_positions,
            )
        if language_layers:
            if self.tokens_per_frame < len(self.grid):
                raise InputError(
                    "language_layers look at a frame's patches: leave the block out (`block: null`), or set its output "
                    "to `modulate` or `append`"
                )
            modules = choose_layers(self.language_attention_modules(), language_layers, "language_layers")
            return LanguageSource(
                grid=self.grid,
                layer_numbers=[*modules],
                heads=heads,
                capture=AttentionCapture([*modules.values()]),
                visual_token=self.visual_token,
                tokens_per_frame=self.tokens_per_frame,
            )
        if self.block is None:
            return None
        last = len(self.block.attentions) - 1
        return BlockSource(grid=self.grid, layer_numbers=[last], heads=heads, block=self.block)

    def capture_tower(self, tower: Tower) -> None:
        """Take attention from all layers of a tower, whatever its options chose.

        The model is loaded.

        Raises:
            InputError: the language model does not read a frame's patches.
        """
        options = replace(self.options, vit_layers=(), language_layers=(), heads=())
        if tower == "vision":
            self.options = replace(options, vit_layers="all")
        else:
            self.options = replace(options, language_layers="all")
            use_capturing_attention(self.parts()["language"][0])
        self.source = self.attention_source()

    def parameters_by_part(self) -> dict[str, list[nn.Parameter]]:
        """List all parameters, by part and `block`; each once."""
        parts = parameters_by_part(self.parts())
        if self.block is not None:
            parts["block"] = list(self.block.parameters())
        return parts

    def trainable_parameters(self) -> dict[str, list[nn.Parameter]]:
        """List the trainable parameters, by part and `block`."""
        return {name: [p for p in own if p.requires_grad] for name, own in self.parameters_by_part().items()}

    @property
    def has_attention_source(self) -> bool:
        """Whether there is an attention that a regularizer could pull."""
        options = self.options
        return options.block is not None or bool(options.vit_layers or options.language_layers)

    @property
    def frame_size_px(self) -> tuple[int, int]:
        """Height and width of a frame at the vision tower."""
        return self.options.frame_size_px or self.own_frame_size_px

    @property
    def grid(self) -> Grid:
        """Patches of a frame, for the source that is regularized."""
        return self.layout.vit if self.options.vit_layers else self.layout.language

    @property
    def covered_view(self) -> View:
        """The part of the view that the grid covers."""
        return covered_part(self.options.view, self.layout.covered)

    @property
    def tokens_per_frame(self) -> int:
        """Visual tokens that the language model reads for a frame."""
        patches = len(self.layout.language)
        return patches if self.block is None else self.block.tokens_per_frame(patches)

    def collator(self) -> Collator:
        """Make the collator of this model; it holds the processor and no weights."""
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
            view=self.options.view,
            covered_view=self.covered_view,
            min_mass_in_view=self.options.min_mass_in_view,
            max_target_tokens=self.options.max_target_tokens,
            context_tokens=getattr(self.generative_model.config.get_text_config(), "max_position_embeddings", None),
            image_options=self.image_options,
        )

    def rewrite_visual_tokens(self) -> None:
        """Pass the model's visual tokens through the block wherever the library asks for them."""
        original = getattr(self.hf.model, self.features_method)

        @wraps(original)  # generation reads the signature
        def with_block(*args: Any, **kwargs: Any) -> Any:
            features = original(*args, **kwargs)
            assert self.samples is not None, "the model runs outside of `reading`"
            features.pooler_output = self.through_block(features.pooler_output, self.samples)
            return features

        setattr(self.hf.model, self.features_method, with_block)

    def through_block(self, features: Any, clips: int) -> Any:
        """Rewrite the visual tokens of a batch.

        Args:
            features: of images [image, patch, width] or of clips [clip, frame · patch, width], as a tensor or as a
                sequence of one an image or clip.
            clips: in the batch.

        Returns:
            The rewritten tokens in the same container.
        """
        assert self.block is not None
        tokens = features if isinstance(features, Tensor) else torch.stack(list(features))
        count, width = len(tokens), tokens.shape[-1]
        tokens, _ = self.block(tokens.reshape(clips, -1, len(self.layout.language), width))
        tokens = tokens.reshape(count, -1, width)
        return tokens if isinstance(features, Tensor) else list(tokens)
