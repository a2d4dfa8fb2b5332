"""Tiny vision-language models of Qwen."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

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

from gaze_vlm.backbones.qwen_vl import QwenVL
from gaze_vlm.backbones.tiny import TinyFamily, common

Generation = Literal["2", "2.5", "3"]
MERGE, LAYERS = 2, 3


def build_tiny_qwen_vl(
    words: Sequence[str], generation: Generation, width: int = 32, seed: int = 0, patch: int = 4, window: int = 2
) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Build a Qwen-VL and its processor.

    Frames are in units of two patches of `patch` px. Of 2.5, the last vision layer alone attends fully, the others in
    windows of `window` visual tokens a side. 3 has DeepStack from its first vision layer.
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
    tokenizer = common.build_tokenizer(words, special)
    sides: dict[str, Any] = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": MERGE}
    processor = processor_of(
        image_processor=Qwen2VLImageProcessor(**sides),
        tokenizer=tokenizer,
        video_processor=videos_of(**sides),
        chat_template=common.chat_template(
            image="<|vision_start|><|image_pad|><|vision_end|>",
            video="<|video_pad|>" if generation == "3" else "<|vision_start|><|video_pad|><|vision_end|>",
        ),
    )
    sizes = {"intermediate_size": 2 * width, "out_hidden_size": width}
    own: dict[str, dict[str, Any]] = {
        "2": {"embed_dim": width, "mlp_ratio": 2},  # here hidden_size is the projector's output
        "2.5": {"window_size": window * patch * MERGE, "fullatt_block_indexes": [LAYERS - 1], **sizes},
        "3": {"deepstack_visual_indexes": [0], "num_position_embeddings": 64, **sizes},
    }
    vision = {
        "depth": LAYERS,
        "num_heads": common.HEADS,
        "patch_size": patch,
        "temporal_patch_size": 2,
        "spatial_merge_size": MERGE,
        "hidden_size": width,
        **own[generation],
    }
    sections = [share * width // 32 for share in (2, 3, 3)]
    text = {
        **common.language_sizes(tokenizer, width),
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections},
        **({"head_dim": width // common.HEADS} if generation == "3" else {}),
    }
    ids: dict[str, Any] = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in special.items()}
    config = config_of(vision_config=vision, text_config=text, **ids)
    return common.draw_weights(lambda: model_of(config), seed), processor


def _family(generation: Generation, pools: bool = True) -> TinyFamily:
    build = partial(build_tiny_qwen_vl, generation=generation, width=common.KITCHEN_WIDTH, patch=6, window=4)
    return TinyFamily(QwenVL, build, (96, 96), pools)


FAMILIES = {
    "qwen2-vl": _family("2"),
    "qwen2.5-vl": _family("2.5"),
    "qwen3-vl": _family("3", pools=False),  # DeepStack
}
