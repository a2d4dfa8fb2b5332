"""The backbone interface: one surface over every model family.

A family adds what only it knows (how to load, where the grid, the attention and the visual tokens are); everything
else is here. CONTRIBUTING.md, "Add a backbone", lists the steps.
"""

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoProcessor

from gaze_vlm.attention.block import GazeBlock
from gaze_vlm.attention.capture import CAPTURING_SDPA, AttentionCapture
from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.attention.sources import (
    IGNORED,
    NO_PLACEHOLDER,
    AttentionSource,
    BlockSource,
    Capture,
    LanguageSource,
    VitSource,
)
from gaze_vlm.backbones.collator import Collator, Media, one_a_step
from gaze_vlm.backbones.frozen_vision import keep_visual_tokens
from gaze_vlm.backbones.layout import Layout, check_frame_size
from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.gaze.view import Grid, View

Part = Literal["vision", "projector", "language"]


@dataclass
class BackboneOutput:
    """Cross-entropy of each answer (sum over its tokens, [batch]), the number of answer tokens, and the attention of
    the backbone's source, None without one."""

    cross_entropy: Float[Tensor, "batch"]
    tokens: Float[Tensor, ""]
    attention: PatchAttention | None


class Backbone(nn.Module, ABC):
    """A vision-language model that describes clips and hands over where it looked.

    Args:
        checkpoint: folder (or hub name) of a native `transformers` checkpoint with its processor.
        block: makes the gaze block from the width of a visual token; None inserts none.
        vit_layers: hand over the attention of these vision layers instead of the block's; negative counts from the
            last of those that can be taken. Several stand beside each other as more heads.
        language_layers: hand over that of these language layers: where the tokens that predict the answer look.
        heads: of the layers or the block, hand over these alone; all by default.
        train: parts that learn, beside the block, which always does.
        view: how a frame goes into the model; the whole frame squashed by default.
        frame_size_px: height and width of a frame at the vision tower; None is the model's own.
        least_in_view: share of a frame's gaze mass that must be in view for the frame to count.
        max_new_tokens: longest generated answer.
        dtype: of the weights, frozen or not; autocasting is the trainer's `precision`.
        cached_frames: keep what the frozen vision tower and projector (LLaVA: the tower) made of so many frames, or
            clips where a clip is one video; for data that fit in memory.
    """

    def __init__(
        self,
        checkpoint: str,
        block: Callable[[int], GazeBlock] | None = None,
        vit_layers: tuple[int, ...] = (),
        language_layers: tuple[int, ...] = (),
        heads: tuple[int, ...] = (),
        train: tuple[Part, ...] = ("projector", "language"),
        view: View = View(),  # noqa: B008 (frozen)
        frame_size_px: tuple[int, int] | None = None,
        least_in_view: float = 0.5,
        max_new_tokens: int = 32,
        dtype: Literal["float32", "bfloat16"] = "float32",
        cached_frames: int = 0,
    ) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.make_block = block
        self.vit_layers = vit_layers
        self.language_layers = language_layers
        self.heads = heads
        self.train_parts = train
        self.view = view
        self.asked_frame_size_px = frame_size_px
        self.least_in_view = least_in_view
        self.max_new_tokens = max_new_tokens
        self.dtype: Literal["float32", "bfloat16"] = dtype
        self.cached_frames = cached_frames
        self.hf: Any = None
        self.processor: Any = None
        self.block: GazeBlock | None = None
        self.source: AttentionSource | None = None
        self._frames = 0  # a clip has in the pass under way; its steps where the model takes several frames as one

    # What a family adds.

    model_class: ClassVar[Any]  # of `transformers`: native, or one of its Auto classes
    image_options: ClassVar[dict[str, bool]] = {"do_resize": False}  # leave a frame's size as the view made it
    media: Media = "image"  # what a clip is to the model: an image a frame, or one video
    halves: ClassVar[tuple[str, str]] = ("vision_config", "text_config")  # the tower's and the language model's configs

    def parts(self) -> dict[Part, list[nn.Module]]:
        """The model's modules by what they are; here by the names that most families give them."""
        model = self.hf.model
        return {
            "vision": [model.vision_tower],
            "projector": [model.multi_modal_projector],
            "language": [model.language_model, self.hf.lm_head],
        }

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
    def answerer(self) -> Any:
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

    # What all share.

    def load(self) -> None:
        """Load the weights and install block, seam and capture. Does nothing the second time.

        Raises:
            FileNotFoundError: the checkpoint is a path without a model.
            ValueError: a part or a layer that the model does not have.
        """
        if self.hf is not None:
            return
        self.hf, self.processor = self._load_checkpoint()
        check_frame_size(self.frame_size_px, self.own_frame_size_px, self.frame_unit_px, self.checkpoint)
        self.hf.train()  # from_pretrained leaves eval mode, in which gradient checkpointing is silently off
        for part, modules in self.parts().items():
            for module in modules:
                module.requires_grad_(part in self.train_parts)
        if self.cached_frames:
            if self.vit_layers:
                raise ValueError("cached_frames skips the vision tower, vit_layers look into it: set one of them")
            self.keep_vision_outputs(self.cached_frames)
        if self.make_block is not None:
            self.block = self.make_block(self.hf.get_input_embeddings().embedding_dim)
            self.rewrite_visual_tokens()
        self.source = self.make_source()

    def make_source(self) -> AttentionSource | None:
        """Where the attention that is handed over comes from.

        Raises:
            ValueError: layers that the model does not have, or of both of its halves.
        """
        if self.vit_layers and self.language_layers:
            raise ValueError("vit_layers and language_layers attend over different grids: set one of them")
        if self.vit_layers:
            modules = layers_of(self.vit_attention_modules(), self.vit_layers, "vit_layers")
            capture, layout = self.capture_of(modules), self.layout
            return VitSource(
                capture, layout.vit, self.has_class_token, self.prefix_tokens, self.patch_positions, self.heads
            )
        if self.language_layers:
            if self.tokens_per_frame < len(self.grid):
                raise ValueError("language_layers look at a frame's patches: set the block's output to `modulate`")
            modules = layers_of(self.language_attention_modules(), self.language_layers, "language_layers")
            capture = AttentionCapture(modules)
            return LanguageSource(capture, self.grid, self.visual_token, self.tokens_per_frame, self.heads)
        return None if self.block is None else BlockSource(self.block, self.grid, self.heads)

    def capture_of(self, modules: list[nn.Module]) -> Capture:
        """What captures the vision tower's attention modules."""
        return AttentionCapture(modules)

    def _load_checkpoint(self) -> tuple[Any, Any]:
        make = "`gaze-vlm backbone --output FOLDER` makes the kitchen's"
        is_hub_name = self.checkpoint.count("/") == 1 and not self.checkpoint.startswith((".", "/"))
        if (Path(self.checkpoint).exists() or not is_hub_name) and not Path(self.checkpoint, "config.json").is_file():
            raise FileNotFoundError(f"no model in {self.checkpoint}: it has no config.json; {make}")
        vision, language = self.halves
        try:
            model = self.model_class.from_pretrained(
                self.checkpoint,
                dtype=self.dtype,
                attn_implementation={
                    vision: CAPTURING_SDPA,
                    language: CAPTURING_SDPA if self.language_layers else "sdpa",
                },
            )
            return model, AutoProcessor.from_pretrained(self.checkpoint)
        except OSError as error:
            raise FileNotFoundError(
                f"no model in {self.checkpoint}: no such folder, and no hub checkpoint of this name can be reached; "
                f"{make}"
            ) from error

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
    def seen(self) -> View:
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
            write=functools.partial(one_a_step, token),
            visual_token=self.visual_token,
            tokens_per_frame=self.tokens_per_frame,
            tokens_after_clip=self.tokens_after_clip,
            frames_per_step=self.layout.frames_per_step,
            grid=self.grid,
            height_px=height_px,
            width_px=width_px,
            view=self.view,
            seen=self.seen,
            least_in_view=self.least_in_view,
            image_options=self.image_options,
        )

    def rewrite_visual_tokens(self) -> None:
        """Pass the model's visual tokens through the block, wherever the library asks for them."""
        original = getattr(self.hf.model, self.features_method)

        @functools.wraps(original)  # generation reads the signature
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
        armed: AbstractContextManager[None] = nullcontext() if self.source is None else self.source.armed()
        with armed:
            # Answers end at the right edge, so the head runs on that edge alone.
            logits = self.answerer(**self.prepare(inputs), logits_to_keep=longest + 1, use_cache=False).logits
        ids = inputs["input_ids"]
        attention = None if self.source is None else self.source.take(self._frames, ids, labels)
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
        answers = self.answerer.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        answers = answers[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)]


def layers_of(modules: dict[int, nn.Module], layers: Sequence[int], option: str) -> list[nn.Module]:
    """Attention modules by their layer's index, or counted from the last.

    Raises:
        ValueError: a layer that cannot be taken.
    """
    known = list(modules)
    for layer in layers:
        if layer not in modules and not -len(known) <= layer < 0:
            raise ValueError(
                f"{option} {layer}: the model's layers to choose from are {', '.join(map(str, known))}, "
                f"or {-len(known)} to -1 counted from the last"
            )
    return [modules[layer if layer in modules else known[layer]] for layer in layers]
