"""Qwen's vision-language models of the real classes, small enough for a CPU: random weights, a real processor."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from transformers import (
    PreTrainedModel,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from gaze_vlm.backbones.tiny.llava import build_tokenizer, chat_template

Generation = Literal["2", "2.5", "3"]
MERGE, HEADS, LAYERS = 2, 2, 3


def build_tiny_qwen_vl(
    words: Sequence[str], generation: Generation, width: int = 32, seed: int = 0, patch: int = 4, window: int = 2
) -> tuple[PreTrainedModel, ProcessorMixin]:
    """A Qwen-VL with random weights drawn by `seed`, and its processor, whose vocabulary is `words`.

    Frames are in units of two patches of `patch` px. Of 2.5, the last vision layer alone attends fully, the others in
    windows of `window` visual tokens a side; 3 has DeepStack from its first vision layer.
    """
    config_of, model_of, processor_of, videos_of = {
        "2": (Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, Qwen2VLVideoProcessor),
        "2.5": (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, Qwen2VLVideoProcessor),
        "3": (Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor, Qwen3VLVideoProcessor),
    }[generation]
    special = {
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
        "vision_start_token": "<|vision_start|>",
        "vision_end_token": "<|vision_end|>",
    }
    tokenizer = build_tokenizer(words, special)
    sides: dict[str, Any] = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": MERGE}
    processor = processor_of(
        image_processor=Qwen2VLImageProcessor(**sides),
        tokenizer=tokenizer,
        video_processor=videos_of(**sides),
        chat_template=chat_template(
            image="<|vision_start|><|image_pad|><|vision_end|>",
            video="<|video_pad|>" if generation == "3" else "<|vision_start|><|video_pad|><|vision_end|>",
        ),
    )
    own: dict[str, dict[str, Any]] = {
        "2": {"embed_dim": width, "hidden_size": width, "mlp_ratio": 2},  # here hidden_size is the projector's output
        "2.5": {"window_size": window * patch * MERGE, "fullatt_block_indexes": [LAYERS - 1]},
        "3": {"deepstack_visual_indexes": [0], "num_position_embeddings": 64},
    }
    vision = {
        "depth": LAYERS,
        "num_heads": HEADS,
        "patch_size": patch,
        "temporal_patch_size": 2,
        "spatial_merge_size": MERGE,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "out_hidden_size": width,
        **own[generation],
    }
    if generation == "2":
        del vision["intermediate_size"], vision["out_hidden_size"]
    sections = [share * width // 32 for share in (2, 3, 3)]
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": width // HEADS,
        "max_position_embeddings": 4096,
        "initializer_range": width**-0.5,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": sections,
        },
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if generation != "3":
        del text["head_dim"]
    ids: dict[str, Any] = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in special.items()}
    config = config_of(vision_config=vision, text_config=text, **ids)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return model_of(config), processor
