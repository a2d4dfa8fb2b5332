"""An InternVL of the real classes, small enough for a CPU: random weights, a real processor."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    InternVLVisionConfig,
)

from gaze_vlm.backbones.tiny.llava import build_tokenizer, chat_template, tiny_qwen2

LAYERS, HEADS = 2, 2


def build_tiny_internvl(
    words: Sequence[str], width: int = 32, seed: int = 0, image: int = 32, patch: int = 4
) -> tuple[InternVLForConditionalGeneration, InternVLProcessor]:
    """An InternVL with random weights drawn by `seed`, and its processor, whose vocabulary is `words`. Frames of
    `image` px a side are cut into patches of `patch` px, four of which make a visual token."""
    special = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = build_tokenizer(words, special)
    tokens = (image // patch // 2) ** 2
    square = {"height": image, "width": image}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=square),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=square),
        image_seq_length=tokens,
        chat_template=chat_template("<IMG_CONTEXT>"),
    )
    vision = InternVLVisionConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        image_size=[image, image],
        patch_size=[patch, patch],
    )
    text = tiny_qwen2(tokenizer, width)
    config = InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.get_vocab()["<IMG_CONTEXT>"],
        image_seq_length=tokens,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = InternVLForConditionalGeneration(config)
        # The library begins with zeros, from which the class token attends to all patches alike.
        nn.init.normal_(model.model.vision_tower.embeddings.cls_token)
        return model, processor
