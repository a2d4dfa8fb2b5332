"""A narrator of the real classes, small enough for a CPU: random weights, a real processor."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, ProcessorMixin, VisionEncoderDecoderModel

from gaze_vlm.backbones.tiny.llava import build_tokenizer
from gaze_vlm.pretraining.compose import join_narrator, timm_tower

LAYERS, HEADS = 2, 2


def build_tiny_narrator(
    words: Sequence[str],
    architecture: str = "vit_tiny_patch16_224",
    vision_width: int = 32,
    language_width: int = 24,
    seed: int = 0,
    image: int = 32,
    patch: int = 8,
    **options: Any,
) -> tuple[VisionEncoderDecoderModel, ProcessorMixin]:
    """A narrator with random weights drawn by `seed`, and its processor, whose vocabulary is `words`. Frames of
    32 × 32 px (`image`) make 4 × 4 patches (of `patch` px). `options` are more of the timm model's own."""
    tokenizer = build_tokenizer(words, {})
    language = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=language_width,
        n_layer=LAYERS,
        n_head=HEADS,
        n_positions=256,
        initializer_range=language_width**-0.5,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        add_cross_attention=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    sides: dict[str, Any] = {
        "img_size": image,
        "patch_size": patch,
        "embed_dim": vision_width,
        "depth": LAYERS,
        "num_heads": HEADS,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return join_narrator(timm_tower(architecture, **options, **sides), GPT2LMHeadModel(language), tokenizer)
