"""A tiny LLaVA-NeXT-Video."""

from collections.abc import Sequence
from functools import partial

from transformers import (
    CLIPVisionConfig,
    LlavaNextImageProcessor,
    LlavaNextVideoConfig,
    LlavaNextVideoForConditionalGeneration,
    LlavaNextVideoProcessor,
    LlavaNextVideoVideoProcessor,
)

from gaze_vlm.backbones.llava_next_video import LlavaNextVideo
from gaze_vlm.backbones.tiny import TinyFamily, common


def build_tiny_llava_next_video(
    words: Sequence[str], width: int = 32, seed: int = 0, image: int = 32, patch: int = 4, layers: int = 3
) -> tuple[LlavaNextVideoForConditionalGeneration, LlavaNextVideoProcessor]:
    """Build a LLaVA-NeXT-Video and its processor.

    Frames of 32 × 32 px (`image`) make 8 × 8 patches (of `patch` px) and 4 × 4 visual tokens. The last vision layer is
    left out, as in the real one.
    """
    tokenizer = common.build_tokenizer(words, {"image_token": "<image>", "video_token": "<video>"})
    side, tiles = common.square(image), [[image, image]]
    processor = LlavaNextVideoProcessor(
        video_processor=LlavaNextVideoVideoProcessor(size=side, crop_size=side),
        image_processor=LlavaNextImageProcessor(size=side, crop_size=side, image_grid_pinpoints=tiles),
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy="default",
        chat_template=common.chat_template(video="<video>"),
    )
    config = LlavaNextVideoConfig(
        vision_config=CLIPVisionConfig(**common.vision_sizes(width, image, patch, layers)),
        text_config=common.tiny_qwen2(tokenizer, width),
        image_token_index=tokenizer.get_vocab()["<image>"],
        video_token_index=tokenizer.get_vocab()["<video>"],
        image_grid_pinpoints=tiles,
    )
    return common.draw_weights(lambda: LlavaNextVideoForConditionalGeneration(config), seed), processor


FAMILIES = {
    "llava-next-video": TinyFamily(
        LlavaNextVideo,
        partial(
            build_tiny_llava_next_video, width=common.KITCHEN_WIDTH, image=96, patch=6, layers=common.KITCHEN_LAYERS + 1
        ),
    )
}
