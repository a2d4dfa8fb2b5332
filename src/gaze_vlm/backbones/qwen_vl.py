"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: frames of any size in units of merged patches, positions in three dimensions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
import transformers
from jaxtyping import Float, Int
from packaging.version import Version
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.backbones.collator import Collator
from gaze_vlm.backbones.layout import Layout, sequence_positions
from gaze_vlm.backbones.parts import ModelParts
from gaze_vlm.backbones.placement import Medium, VisualTokens
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid

# Before transformers 5.18, Qwen2.5-VL's time from one frame group of a video to the next is cut to whole seconds. With
# groups of less than one second, all of a video is at one time (its pull request 48669).
TIMES_GROUPS = Version(transformers.__version__) >= Version("5.18")


class QwenVL(Backbone):
    """`Qwen/Qwen2.5-VL-3B-Instruct` and its kin; the checkpoint says which.

    The tower takes two frames at once, in one of two ways:

    - As an `image`, a frame is doubled. Its gaze meets its own attention, any number of frames is legal, and time is in
      their order.
    - As one `video`, two frames make a frame group: half the visual tokens, an even number of frames, and the mean of
      their gaze. Time is real: in the positions of Qwen2.5-VL, in words before each group of Qwen3-VL. Qwen2-VL knows
      the order alone.

    Qwen2.5-VL attends within windows in most of its vision layers: only the full ones can be taken. Qwen3-VL adds
    features of earlier vision layers to the patch tokens inside the language model (DeepStack); they go past the
    block, which must leave the patch tokens in place (`modulate`).

    Args:
        checkpoint: folder, hub name or shipped name of a native `transformers` checkpoint with its processor.
        media: whether a frame is an image, or a clip one video.
        options: those of every backbone.
    """

    model_class: ClassVar[Any] = AutoModelForImageTextToText

    model_types = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
    has_class_token = False
    tokens_by_image = True

    def __init__(self, checkpoint: str, media: Media = "image", **options: Any) -> None:
        super().__init__(checkpoint, **options)
        self.media = media

    def check_config(self, config: Any) -> None:
        if self.media == "video" and config.model_type == "qwen2_5_vl" and not TIMES_GROUPS:
            raise InputError(
                f"transformers {transformers.__version__} cuts the time between frame groups of a Qwen2.5-VL's video "
                "to whole seconds: install 5.18 or later, or give the backbone `media: image`"
            )

    def check_processor(self) -> None:
        super().check_processor()
        own, vision = getattr(self.processor, f"{self.media}_processor"), self.hf.config.vision_config
        sizes = {"patch_size": "patch_size", "merge_size": "spatial_merge_size", "temporal_patch_size": None}
        for name, of_model in sizes.items():
            found, expected = getattr(own, name), getattr(vision, of_model or name)
            if found != expected:
                raise InputError(
                    f"{self.options.checkpoint}: its processor has {name} {found}, and the model {expected}: take "
                    "processor and weights of one checkpoint"
                )

    def parts(self) -> ModelParts:
        model = self.hf.model
        mergers = [model.visual.merger, *getattr(model.visual, "deepstack_merger_list", [])]
        # The mergers lie inside the tower, and come after it.
        return {"vision": [model.visual], "projector": mergers, "language": [model.language_model, self.hf.lm_head]}

    def vit_attention_modules(self) -> dict[int, nn.Module]:
        blocks = self.hf.model.visual.blocks
        full = getattr(self.hf.config.vision_config, "fullatt_block_indexes", range(len(blocks)))
        return {i: blocks[i].attn for i in sorted(full)}

    def rewrite_visual_tokens(self) -> None:
        if self.block is not None and self.block.output != "modulate" and self.has_deepstack:
            raise InputError(
                f"block output is {self.block.output}: Qwen3-VL's DeepStack needs the patch tokens in place, "
                "use `modulate`, or regularize vit_layers"
            )
        super().rewrite_visual_tokens()

    @property
    def has_deepstack(self) -> bool:
        return bool(getattr(self.hf.config.vision_config, "deepstack_visual_indexes", ()))

    @property
    def frame_unit_px(self) -> int:
        vision = self.hf.config.vision_config
        return int(vision.patch_size * vision.spatial_merge_size)

    @property
    def own_frame_size_px(self) -> tuple[int, int]:
        return 12 * self.frame_unit_px, 12 * self.frame_unit_px

    @property
    def layout(self) -> Layout:
        height, width = self.frame_size_px
        return self.layout_of(self.media, height // self.frame_unit_px, width // self.frame_unit_px)

    def layout_of(self, media: Media, rows: int, columns: int) -> Layout:
        """Return the layout of a frame of so many visual tokens, in an image or a video."""
        vision = self.hf.config.vision_config
        merge = vision.spatial_merge_size
        return Layout(
            vit=Grid(rows * merge, columns * merge),
            language=Grid(rows, columns),
            frames_per_group=vision.temporal_patch_size if media == "video" else 1,
        )

    def medium(self, media: Media, number: int, visual: VisualTokens, inputs: Mapping[str, Any]) -> Medium:
        groups, rows, columns = inputs[f"{media}_grid_thw"][number].tolist()
        merge = self.hf.config.vision_config.spatial_merge_size
        layout = self.layout_of(media, rows // merge, columns // merge)
        return Medium(layout, groups * len(layout.language), groups=groups, rows=groups)

    def positions_on(self, grid: Grid) -> list[int]:
        vision = self.hf.config.vision_config
        window_px = getattr(vision, "window_size", None)
        window = window_px // vision.patch_size if window_px else max(grid.rows, grid.columns)
        return sequence_positions(grid, vision.spatial_merge_size, window)

    def collator(self) -> Collator:
        collator = super().collator()
        if self.media == "image":
            return collator
        self.processor.video_processor.cap_pixels_per_frame = False  # the view resizes; unset, the library warns
        collator = replace(collator, image_options={**self.image_options, "do_sample_frames": False})
        if self.hf.config.model_type != "qwen3_vl":
            return collator
        # The template writes the marks around a video, which belong around each of its frame groups.
        own = self.processor
        group = f"{own.vision_start_token}{own.video_token}{own.vision_end_token}"
        placeholder = f"({re.escape(group)}|{collator.placeholder})"
        return replace(collator, placeholder=placeholder, write=partial(groups_with_times, group))

    @property
    def features_of_group(self) -> tuple[int, int]:
        tokens, width = super().features_of_group
        deep = getattr(self.hf.config.vision_config, "deepstack_visual_indexes", ())
        return tokens, width * (1 + len(deep))  # what DeepStack adds stands behind the tokens

    def visual_inputs(self, pixel_values: Float[Tensor, "clip group ..."]) -> dict[str, Tensor]:
        """Take each frame group for an image or a video of its own.

        The tower attends within it alone.
        """
        rows, (clips, groups) = pixel_values.flatten(0, 2), pixel_values.shape[:2]
        grid = torch.tensor([[1, self.layout.vit.rows, self.layout.vit.columns]], device=rows.device)
        name = "pixel_values" if self.media == "image" else "pixel_values_videos"
        return {name: rows, f"{self.media}_grid_thw": grid.expand(clips * groups, -1)}

    def next_positions(self, positions: Int[Tensor, "batch token"]) -> Int[Tensor, "3 batch token"]:
        """Move them by what the three dimensions of the frames saved, the same in each."""
        return (positions + self.hf.model.rope_deltas.to(positions)).expand(3, -1, -1)

    def prepare(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add the grid of each image or video, and which placeholders are patches.

        The model's positions come from these. A token of the block that is no patch has a position as text has.
        """
        prepared = super().prepare(inputs)
        del prepared["position_ids"]
        group_s, layout, input_ids = prepared.pop("group_s", None), self.layout, prepared["input_ids"]
        patches = len(layout.language) if self.tokens_per_frame >= len(layout.language) else 0
        # Frame groups that the block's tokens part are to the positions each a video of its own.
        if not (self.media == "image" or self.tokens_per_frame > patches > 0):
            grid = input_ids.new_tensor([[inputs["pixel_values"].shape[1], layout.vit.rows, layout.vit.columns]])
            prepared["video_grid_thw"] = grid.expand(len(input_ids), -1)
        visual = input_ids == self.visual_token
        place = (visual.cumsum(1) - 1) % self.tokens_per_frame
        prepared["mm_token_type_ids"] = (visual & (place < patches)) * (1 if self.media == "image" else 2)
        if group_s is not None and self.hf.config.model_type == "qwen2_5_vl":
            prepared["second_per_grid_ts"] = group_s.repeat_interleave(len(prepared["video_grid_thw"]) // len(group_s))
        return prepared


def groups_with_times(group: str, times_s: Sequence[float]) -> str:
    """Write a video in Qwen3-VL's text: before each frame group its time."""
    return "".join(f"<{t:.1f} seconds>{group}" for t in times_s)
