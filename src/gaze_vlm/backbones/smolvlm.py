"""SmolVLM2: SigLIP, whose patches are shuffled many to a visual token, and a video as frames with their times."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial, wraps
from typing import Any, ClassVar

import torch
from einops import reduce
from jaxtyping import Float
from num2words import num2words
from torch import Tensor, nn
from transformers import SmolVLMForConditionalGeneration

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.backbones.collator import Collator
from gaze_vlm.backbones.layout import Layout, square_layout
from gaze_vlm.backbones.parts import ModelParts
from gaze_vlm.backbones.placement import Medium, VisualTokens


class SmolVLM(Backbone):
    """`HuggingFaceTB/SmolVLM2-500M-Video-Instruct` and its kin.

    A clip is one video, since an image would be cut into tiles. The tower takes its frames as it takes images.
    """

    model_class: ClassVar[Any] = SmolVLMForConditionalGeneration
    image_options: ClassVar[dict[str, bool]] = {"do_resize": False, "do_pad": False, "do_sample_frames": False}
    media: Media = "video"
    features_method = "get_image_features"
    has_class_token = False

    def load_model(self, weights: bool) -> None:
        super().load_model(weights)
        merge = getattr(self.hf.model, "inputs_merger", None)
        if merge is None:
            return

        @wraps(merge)
        def in_one_precision(input_ids: Tensor, inputs_embeds: Tensor, image_hidden_states: Tensor) -> Tensor:
            # Under autocast the visual tokens alone are in half precision; transformers until 5.2x does not mix them.
            return merge(input_ids, inputs_embeds, image_hidden_states.to(inputs_embeds.dtype))

        self.hf.model.inputs_merger = in_one_precision

    def parts(self) -> ModelParts:
        model = self.hf.model
        return {
            "vision": [model.vision_model],
            "projector": [model.connector],
            "language": [model.text_model, self.hf.lm_head],
        }

    def vit_attention_modules(self) -> dict[int, nn.Module]:
        return {i: layer.self_attn for i, layer in enumerate(self.hf.model.vision_model.encoder.layers)}

    def collator(self) -> Collator:
        own = self.processor
        frame = f"{own.fake_image_token}{own.global_image_token}{own.image_token}{own.fake_image_token}"
        return replace(
            super().collator(), placeholder=re.escape(own.video_token), write=partial(frames_with_times, frame)
        )

    def visual_inputs(self, pixel_values: Float[Tensor, "clip frame ..."]) -> dict[str, Tensor]:
        # The model takes a frame of nothing but zeros for padding, and would drop it.
        empty = reduce(pixel_values == 0, "clip frame channel y x -> clip frame 1 1 1", torch.all)
        return {"pixel_values": pixel_values.masked_fill(empty, torch.finfo(pixel_values.dtype).tiny)}

    def medium(self, media: Media, number: int, visual: VisualTokens, inputs: Mapping[str, Any]) -> Medium:
        # Each tile has its mark; the whole comes last, and so its mark is that of the last picture.
        tokens = visual.run
        mark, of_the_whole = (visual.ids[visual.positions[at] - 1] for at in (visual.next, -tokens))
        return Medium(self.layout, tokens, groups=int(mark == of_the_whole))

    @property
    def visual_token(self) -> int:
        return int(self.hf.config.image_token_id)

    @property
    def layout(self) -> Layout:
        vision = self.hf.config.vision_config
        return square_layout(vision.image_size, vision.patch_size, self.hf.config.scale_factor)


def frames_with_times(frame: str, times_s: Sequence[float]) -> str:
    """Write a video as the model's processor does: with the time of each frame."""
    count, length = num2words(len(times_s)), timedelta(seconds=int(times_s[-1]))
    intro = f"You are provided the following series of {count} frames from a {length} [H:MM:SS] video.\n"
    frames = (f"\nFrame from {int(t // 60):02d}:{int(t % 60):02d}:{frame}" for t in times_s)
    return f"{intro}{''.join(frames)}\n\n"
