"""Qwen2.5-VL in its real sizes, without weights."""

from pathlib import Path

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from backbone_families import WORDS
from gaze_vlm.backbones.tiny.qwen_vl import build_tiny_qwen_vl

SIZES = {
    "3b": {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
    },
    "7b": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    },
}


def save_qwen(size: str, folder: Path) -> None:
    """Writes its configuration, and a processor whose vocabulary is a few words."""
    model, processor = build_tiny_qwen_vl(WORDS, "2.5")
    processor.image_processor.patch_size = processor.video_processor.patch_size = 14
    processor.save_pretrained(folder)
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    # Else the class's defaults, which are the tower's.
    vision = {"hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": SIZES[size]["hidden_size"]}
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    config = Qwen2_5_VLConfig(
        vision_config=vision,
        text_config={**SIZES[size], "rope_parameters": rope},
        tie_word_embeddings=size == "3b",
        **{name: getattr(model.config, name) for name in names},
    )
    config.architectures = [Qwen2_5_VLForConditionalGeneration.__name__]
    config.save_pretrained(folder)
