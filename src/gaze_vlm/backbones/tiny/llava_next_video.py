"""A LLaVA-NeXT-Video of the real classes, small enough for a CPU: random weights, a real processor."""

from collections.abc import Sequence

import torch
from transformers import (
    CLIPVisionConfig,
    LlavaNextImageProcessor,
    LlavaNextVideoConfig,
    LlavaNextVideoForConditionalGeneration,
    LlavaNextVideoProcessor,
    LlavaNextVideoVideoProcessor,
)

from gaze_vlm.backbones.tiny.llava import build_tokenizer, chat_template, tiny_qwen2

LAYERS, HEADS = 3, 2


def build_tiny_llava_next_video(
    words: Sequence[str], width: int = 32, seed: int = 0, image: int = 32, patch: int = 4
) -> tuple[LlavaNextVideoForConditionalGeneration, LlavaNextVideoProcessor]:
    """A LLaVA-NeXT-Video with random weights drawn by `seed`, and its processor, whose vocabulary is `words`. Frames of
    32 × 32 px (`image`) make 8 × 8 patches (of `patch` px) and 4 × 4 visual tokens; the last vision layer is left out,
    as in the real one."""
    tokenizer = build_tokenizer(words, {"image_token": "<image>", "video_token": "<video>"})
    square = {"height": image, "width": image}
    processor = LlavaNextVideoProcessor(
        video_processor=LlavaNextVideoVideoProcessor(size=square, crop_size=square),
        image_processor=LlavaNextImageProcessor(size=square, crop_size=square, image_grid_pinpoints=[[image, image]]),
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy="default",
        chat_template=chat_template(video="<video>"),
    )
    vision = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        image_size=image,
        patch_size=patch,
    )
    config = LlavaNextVideoConfig(
        vision_config=vision,
        text_config=tiny_qwen2(tokenizer, width),
        image_token_index=tokenizer.get_vocab()["<image>"],
        video_token_index=tokenizer.get_vocab()["<video>"],
        image_grid_pinpoints=[[image, image]],
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlavaNextVideoForConditionalGeneration(config), processor
