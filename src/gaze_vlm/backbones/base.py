"""The backbone interface: one surface over every model family.

A family adds what only it knows (how to load, where the grid, the attention and the visual tokens are); everything
else is here. CONTRIBUTING.md, "Add a backbone", lists the steps.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
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
from gaze_vlm.backbones.collator import IGNORED, Collator, Media
from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.gaze.view import Grid, View

Part = Literal["vision", "projector", "language"]


@dataclass(frozen=True)
class Layout:
    """How a frame lies in the model. Every frame goes in by itself, so that its gaze meets its own attention.

    Args:
        vit: patches of the vision tower, which a `vit_layer` attends over.
        language: visual tokens that the projector makes of a frame, which the block attends over.
        covered: share of a frame's width and height, from the top left, that the tokens see.
    """

    vit: Grid
    language: Grid
    covered: float = 1.0


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
        vit_layer: hand over this vision layer's attention instead of the block's; negative counts from the last of
            those that can be taken.
        train: parts that learn, beside the block, which always does.
        view: how a frame goes into the model; the whole frame squashed by default.
        frame_size_px: height and width of a frame at the vision tower; None is the model's own.
        least_in_view: share of a frame's gaze mass that must be in view for the frame to count.
        max_new_tokens: longest generated answer.
        dtype: of the weights, frozen or not; autocasting is the trainer's `precision`.
        cached_frames: keep a frozen vision tower's outputs of so many frames; for data that fit in memory.
    """

    def __init__(
        self,
        checkpoint: str,
        block: Callable[[int], GazeBlock] | None = None,
        vit_layer: int | None = None,
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
        self.vit_layer = vit_layer
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
        self.capture: AttentionCapture | None = None
        self._frames = 0  # a clip has in the pass under way
        self._block_log_probs: Float[Tensor, "batch frame head patch"] | None = None

    # What a family adds.

    model_class: ClassVar[Any]  # of `transformers`: native, or one of its Auto classes
    image_options: ClassVar[dict[str, bool]] = {"do_resize": False}  # leave a frame's size as the view made it
    media: ClassVar[Media] = "image"  # what a clip is to the model: an image a frame, or one video
    features_method: ClassVar[str] = "get_image_features"  # of the model, which makes visual tokens of these

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

    @property
    @abstractmethod
    def has_class_token(self) -> bool:
        """Whether the vision tower's sequence begins with a class token."""

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
    def visual_token(self) -> int:
        """Id of the placeholder that stands for one visual token."""
        return int(self.hf.config.image_token_id)

    @property
    def tokens_after_clip(self) -> int:
        """Placeholders behind those of a clip's frames."""
        return 0

    def keep_vision_outputs(self, frames: int) -> None:
        """Make the frozen vision tower remember its outputs of the last so many frames."""
        raise ValueError(f"cached_frames is {frames}: {type(self).__name__} keeps no outputs, set it to 0")

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
        self.check_frame_size()
        self.hf.train()  # from_pretrained leaves eval mode, in which gradient checkpointing is silently off
        for part, modules in self.parts().items():
            for module in modules:
                module.requires_grad_(part in self.train_parts)
        if self.make_block is not None:
            self.block = self.make_block(self.hf.get_input_embeddings().embedding_dim)
            self.rewrite_visual_tokens()
        if self.vit_layer is not None:
            self.capture = AttentionCapture(self.tapped_layer(self.vit_layer))
        if self.cached_frames:
            if self.capture is not None:
                raise ValueError("cached_frames skips the vision tower, vit_layer looks into it: set one of them")
            self.keep_vision_outputs(self.cached_frames)

    def check_frame_size(self) -> None:
        """Refuse a frame size that the model cannot take, and name those that it can."""
        (height, width), unit = self.frame_size_px, self.frame_unit_px
        if unit is None and (height, width) != self.own_frame_size_px:
            own = "×".join(map(str, self.own_frame_size_px))
            raise ValueError(f"frame_size_px {height}×{width}: {self.checkpoint} takes {own} alone, leave it out")
        if unit is not None and (height < unit or width < unit or height % unit or width % unit):
            near = "×".join(str(max(1, round(side / unit)) * unit) for side in (height, width))
            raise ValueError(f"frame_size_px {height}×{width}: both must be multiples of {unit}, the nearest is {near}")

    def tapped_layer(self, layer: int) -> nn.Module:
        """The attention module of a vision layer, by its index or counted from the last."""
        modules = self.vit_attention_modules()
        layers = list(modules)
        if layer in modules:
            return modules[layer]
        if -len(layers) <= layer < 0:
            return modules[layers[layer]]
        raise ValueError(
            f"vit_layer {layer}: the model's vision layers to choose from are {', '.join(map(str, layers))}, "
            f"or {-len(layers)} to -1 counted from the last"
        )

    def _load_checkpoint(self) -> tuple[Any, Any]:
        make = "`gaze-vlm backbone --output FOLDER` makes the kitchen's"
        is_hub_name = self.checkpoint.count("/") == 1 and not self.checkpoint.startswith((".", "/"))
        if (Path(self.checkpoint).exists() or not is_hub_name) and not Path(self.checkpoint, "config.json").is_file():
            raise FileNotFoundError(f"no model in {self.checkpoint}: it has no config.json; {make}")
        try:
            model = self.model_class.from_pretrained(
                self.checkpoint,
                dtype=self.dtype,
                attn_implementation={"vision_config": CAPTURING_SDPA, "text_config": "sdpa"},
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
        return self.make_block is not None or self.vit_layer is not None

    @property
    def frame_size_px(self) -> tuple[int, int]:
        """Height and width of a frame at the vision tower."""
        return self.asked_frame_size_px or self.own_frame_size_px

    @property
    def grid(self) -> Grid:
        """Patches of a frame, for the source that the backbone hands over."""
        return self.layout.language if self.vit_layer is None else self.layout.vit

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
        return Collator(
            processor=self.processor,
            media=self.media,
            visual_token=self.visual_token,
            tokens_per_frame=self.tokens_per_frame,
            tokens_after_clip=self.tokens_after_clip,
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
        """Visual tokens [image, patch, width], as a tensor or a sequence of one an image, rewritten; the same kind."""
        assert self.block is not None
        tokens = features if isinstance(features, Tensor) else torch.stack(list(features))
        tokens = rearrange(tokens, "(batch frame) patch width -> batch frame patch width", frame=self._frames)
        tokens, self._block_log_probs = self.block(tokens)
        tokens = rearrange(tokens, "batch frame token width -> (batch frame) token width")
        return tokens if isinstance(features, Tensor) else list(tokens)

    def forward(self, batch: Batch) -> BackboneOutput:
        """Teacher-forced cross-entropy of the targets, and the attention. Reads no gaze."""
        inputs = dict(batch.inputs)
        labels = inputs.pop("labels")
        longest = int((labels != IGNORED).sum(1).max())
        armed: AbstractContextManager[None] = nullcontext() if self.capture is None else self.capture.armed()
        with armed:
            # Answers end at the right edge, so the head runs on that edge alone.
            logits = self.hf(**self.prepare(inputs), logits_to_keep=longest + 1, use_cache=False).logits
        labels = labels[:, -longest:]
        cross_entropy = functional.cross_entropy(
            rearrange(logits[:, :-1].float(), "batch token word -> batch word token"),
            labels,
            ignore_index=IGNORED,
            reduction="none",
        )
        return BackboneOutput(cross_entropy.sum(1), (labels != IGNORED).sum().float(), self.take_attention())

    def take_attention(self) -> PatchAttention | None:
        """Attention of the last forward pass, from the backbone's source; it is kept no longer."""
        log_probs, self._block_log_probs = self._block_log_probs, None
        if self.capture is not None:
            log_probs = rearrange(
                self.capture.log_probs(self.has_class_token),
                "(batch frame) head patch -> batch frame head patch",
                frame=self._frames,
            )
            if self.patch_positions is not None:
                log_probs = log_probs[..., self.patch_positions]
        return None if log_probs is None else PatchAttention(log_probs, self.grid)

    def prepare(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The model's own inputs: frames of all clips in one row, and positions that skip the padding."""
        pixel_values = inputs["pixel_values"]
        self._frames, self._block_log_probs = pixel_values.shape[1], None
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
        answers = self.hf.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        answers = answers[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)]
