"""A LLaVA-OneVision of the real classes, small enough for a CPU: random weights, a real processor."""

from collections.abc import Sequence

import torch
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    SiglipVisionConfig,
)

from gaze_vlm.backbones.tiny.llava import build_tokenizer, chat_template, tiny_qwen2

LAYERS, HEADS = 2, 2


def build_tiny_llava_onevision(
    words: Sequence[str], width: int = 32, seed: int = 0, image: int = 50, patch: int = 7
) -> tuple[LlavaOnevisionForConditionalGeneration, LlavaOnevisionProcessor]:
    """A LLaVA-OneVision with random weights drawn by `seed`, and its processor, whose vocabulary is `words`. Frames of
    `image` px a side; the usual 50 px make 7 × 7 patches, which leave a pixel unseen as the real ones do, and 4 × 4
    visual tokens."""
    special = {"image_token": "<image>", "video_token": "<video>"}
    tokenizer = build_tokenizer(words, special)
    square = {"height": image, "width": image}
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(size=square, image_grid_pinpoints=[[image, image]]),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(size=square),
        num_image_tokens=(image // patch) ** 2,
        vision_feature_select_strategy="full",
        chat_template=chat_template(video="<video>"),
    )
    vision = SiglipVisionConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        image_size=image,
        patch_size=patch,
        vision_use_head=False,
    )
    text = tiny_qwen2(tokenizer, width)
    config = LlavaOnevisionConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.get_vocab()["<image>"],
        video_token_index=tokenizer.get_vocab()["<video>"],
        image_grid_pinpoints=[[image, image]],
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlavaOnevisionForConditionalGeneration(config), processor
