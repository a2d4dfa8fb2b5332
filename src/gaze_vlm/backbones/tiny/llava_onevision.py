"""A tiny LLaVA-OneVision."""

from collections.abc import Sequence
from functools import partial

from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    SiglipVisionConfig,
)

from gaze_vlm.backbones.llava_onevision import LlavaOnevision
from gaze_vlm.backbones.tiny import TinyFamily, common


def build_tiny_llava_onevision(
    words: Sequence[str], width: int = 32, seed: int = 0, image: int = 50, patch: int = 7, layers: int = common.LAYERS
) -> tuple[LlavaOnevisionForConditionalGeneration, LlavaOnevisionProcessor]:
    """Build a LLaVA-OneVision and its processor.

    Frames of 50 × 50 px (`image`) make 7 × 7 patches, which leave a pixel uncovered as the real ones do, and 4 × 4
    visual tokens.
    """
    tokenizer = common.build_tokenizer(words, {"image_token": "<image>", "video_token": "<video>"})
    tiles = [[image, image]]
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(size=common.square(image), image_grid_pinpoints=tiles),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(size=common.square(image)),
        num_image_tokens=(image // patch) ** 2,
        vision_feature_select_strategy="full",
        chat_template=common.chat_template(video="<video>"),
    )
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**common.vision_sizes(width, image, patch, layers), vision_use_head=False),
        text_config=common.tiny_qwen2(tokenizer, width),
        image_token_index=tokenizer.get_vocab()["<image>"],
        video_token_index=tokenizer.get_vocab()["<video>"],
        image_grid_pinpoints=tiles,
    )
    return common.draw_weights(lambda: LlavaOnevisionForConditionalGeneration(config), seed), processor


FAMILIES = {
    "llava-onevision": TinyFamily(
        LlavaOnevision,
        partial(build_tiny_llava_onevision, width=common.KITCHEN_WIDTH, image=105, layers=common.KITCHEN_LAYERS),
    )
}
