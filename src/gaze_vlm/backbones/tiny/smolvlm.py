"""A SmolVLM of the real classes, small enough for a CPU: random weights, a real processor."""

from collections.abc import Sequence

import torch
from transformers import (
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
    SmolVLMVisionConfig,
)

from gaze_vlm.backbones.tiny.llava import build_tokenizer, tiny_qwen2

LAYERS, HEADS = 2, 2


def build_tiny_smolvlm(
    words: Sequence[str], width: int = 32, seed: int = 0, image: int = 50, patch: int = 4, shuffled: int = 3
) -> tuple[SmolVLMForConditionalGeneration, SmolVLMProcessor]:
    """A SmolVLM with random weights drawn by `seed`, and its processor, whose vocabulary is `words`. Frames of
    50 × 50 px (`image`) make 12 × 12 patches (of `patch` px), which leave two pixels unseen as the real ones do, and
    4 × 4 visual tokens (of `shuffled` patches along a side)."""
    special = {
        "image_token": "<image>",
        "video_token": "<video>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tokenizer = build_tokenizer(words, special)
    tokenizer.eos_token = "<end_of_utterance>"  # of the chat template that the processor brings for videos
    processor = SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(max_image_size={"longest_edge": image}),
        tokenizer=tokenizer,
        video_processor=SmolVLMVideoProcessor(max_image_size={"longest_edge": image}),
        image_seq_len=(image // patch // shuffled) ** 2,
    )
    config = SmolVLMConfig(
        vision_config=SmolVLMVisionConfig(
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            image_size=image,
            patch_size=patch,
        ),
        text_config=tiny_qwen2(tokenizer, width),
        image_token_id=tokenizer.get_vocab()["<image>"],
        pad_token_id=tokenizer.pad_token_id,  # type: ignore[call-arg]  # else older versions pad with the real one
        scale_factor=shuffled,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SmolVLMForConditionalGeneration(config), processor
