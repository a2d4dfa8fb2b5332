"""A tiny InternVL."""

from collections.abc import Sequence
from functools import partial

from torch import nn
from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    InternVLVisionConfig,
)

from gaze_vlm.backbones.internvl import InternVL
from gaze_vlm.backbones.tiny import TinyFamily, common


def build_tiny_internvl(
    words: Sequence[str], width: int = 32, seed: int = 0, image: int = 32, patch: int = 4, layers: int = common.LAYERS
) -> tuple[InternVLForConditionalGeneration, InternVLProcessor]:
    """Build an InternVL and its processor.

    Frames of `image` px a side are cut into patches of `patch` px, four of which make a visual token.
    """
    special = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = common.build_tokenizer(words, special)
    tokens = (image // patch // 2) ** 2
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=common.square(image)),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=common.square(image)),
        image_seq_length=tokens,
        chat_template=common.chat_template("<IMG_CONTEXT>"),
    )
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**common.vision_sizes(width, [image, image], [patch, patch], layers)),
        text_config=common.tiny_qwen2(tokenizer, width),
        image_token_id=tokenizer.get_vocab()["<IMG_CONTEXT>"],
        image_seq_length=tokens,
    )

    def build() -> InternVLForConditionalGeneration:
        model = InternVLForConditionalGeneration(config)
        # The library begins with zeros, from which the class token attends to all patches alike.
        nn.init.normal_(model.model.vision_tower.embeddings.cls_token)
        return model

    return common.draw_weights(build, seed), processor


FAMILIES = {
    "internvl3": TinyFamily(
        InternVL,
        partial(build_tiny_internvl, width=common.KITCHEN_WIDTH, image=96, patch=6, layers=common.KITCHEN_LAYERS),
    )
}
