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
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gaze_vlm.attention.block import GazeBlock
from gaze_vlm.attention.capture import AttentionCapture
from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.backbones.collator import IGNORED, Collator
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
        vit_layer: hand over this vision layer's attention instead of the block's; negative counts from the last.
        train: parts that learn, beside the block, which always does.
        view: how a frame goes into the model; the whole frame squashed by default.
        least_in_view: share of a frame's gaze mass that must be in view for the frame to count.
        max_new_tokens: longest generated answer.
        cached_frames: keep a frozen vision tower's outputs of so many frames; for data that fit in memory.
    """

    def __init__(
        self,
        checkpoint: str,
        block: Callable[[int], GazeBlock] | None = None,
        vit_layer: int | None = None,
        train: tuple[Part, ...] = ("projector", "language"),
        view: View = View(),  # noqa: B008 (frozen)
        least_in_view: float = 0.5,
        max_new_tokens: int = 32,
        cached_frames: int = 0,
    ) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.make_block = block
        self.vit_layer = vit_layer
        self.train_parts = train
        self.view = view
        self.least_in_view = least_in_view
        self.max_new_tokens = max_new_tokens
        self.cached_frames = cached_frames
        self.hf: Any = None
        self.processor: Any = None
        self.block: GazeBlock | None = None
        self.capture: AttentionCapture | None = None
        self._frames = 0  # a clip has in the pass under way
        self._block_log_probs: Float[Tensor, "batch frame head patch"] | None = None

    # What a family adds.

    @abstractmethod
    def load_checkpoint(self) -> tuple[nn.Module, Any]:
        """The model and its processor, with `CAPTURING_SDPA` as the vision tower's attention."""

    @abstractmethod
    def parts(self) -> dict[Part, list[nn.Module]]:
        """The model's modules by what they are."""

    @abstractmethod
    def vit_attention_modules(self) -> list[nn.Module]:
        """The vision tower's attention modules, those only that the model uses."""

    @property
    @abstractmethod
    def has_class_token(self) -> bool:
        """Whether the vision tower's sequence begins with a class token."""

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """Patches of a frame, for the source that the backbone hands over."""

    @property
    @abstractmethod
    def frame_size_px(self) -> tuple[int, int]:
        """Height and width of a frame at the vision tower."""

    @abstractmethod
    def keep_vision_outputs(self, frames: int) -> None:
        """Make the frozen vision tower remember its outputs of the last so many frames."""

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
        self.hf.train()  # from_pretrained leaves eval mode, in which gradient checkpointing is silently off
        for part, modules in self.parts().items():
            for module in modules:
                module.requires_grad_(part in self.train_parts)
        if self.make_block is not None:
            self.block = self.make_block(self.hf.get_input_embeddings().embedding_dim)
            self.rewrite_visual_tokens()
        if self.vit_layer is not None:
            layers = self.vit_attention_modules()
            if not -len(layers) <= self.vit_layer < len(layers):
                raise ValueError(
                    f"vit_layer {self.vit_layer}: the model uses {len(layers)} vision layers, "
                    f"choose from {-len(layers)} to {len(layers) - 1}"
                )
            self.capture = AttentionCapture(layers[self.vit_layer])
        if self.cached_frames:
            if self.capture is not None:
                raise ValueError("cached_frames skips the vision tower, vit_layer looks into it: set one of them")
            self.keep_vision_outputs(self.cached_frames)

    def _load_checkpoint(self) -> tuple[Any, Any]:
        make = "`gaze-vlm backbone --output FOLDER` makes the kitchen's"
        is_hub_name = self.checkpoint.count("/") == 1 and not self.checkpoint.startswith((".", "/"))
        if (Path(self.checkpoint).exists() or not is_hub_name) and not Path(self.checkpoint, "config.json").is_file():
            raise FileNotFoundError(f"no model in {self.checkpoint}: it has no config.json; {make}")
        try:
            return self.load_checkpoint()
        except OSError as error:
            raise FileNotFoundError(
                f"no model in {self.checkpoint}: no such folder, and no hub checkpoint of this name can be reached; {make}"
            ) from error

    @property
    def hands_over_attention(self) -> bool:
        """Whether there is an attention that a regularizer could pull."""
        return self.make_block is not None or self.vit_layer is not None

    def collator(self) -> Collator:
        """Collates clips for this model; holds its processor and none of its weights."""
        height_px, width_px = self.frame_size_px
        patches = len(self.grid)
        return Collator(
            processor=self.processor,
            image_token=self.hf.config.image_token_id,
            tokens_per_frame=patches if self.block is None else self.block.tokens_per_frame(patches),
            grid=self.grid,
            height_px=height_px,
            width_px=width_px,
            view=self.view,
            least_in_view=self.least_in_view,
        )

    def rewrite_visual_tokens(self) -> None:
        """Pass the tokens of the model's image features through the block, wherever the library asks for them."""
        inner = self.hf.model
        original = inner.get_image_features

        @functools.wraps(original)  # generation reads the signature
        def with_block(*args: Any, **kwargs: Any) -> Any:
            features = original(*args, **kwargs)
            assert self.block is not None
            tokens = torch.stack(list(features.pooler_output))
            tokens = rearrange(tokens, "(batch frame) patch width -> batch frame patch width", frame=self._frames)
            tokens, self._block_log_probs = self.block(tokens)
            features.pooler_output = list(rearrange(tokens, "batch frame token width -> (batch frame) token width"))
            return features

        inner.get_image_features = with_block

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
        del inputs["position_ids"]  # generation makes them, from the same mask
        answers = self.hf.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        answers = answers[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)]
