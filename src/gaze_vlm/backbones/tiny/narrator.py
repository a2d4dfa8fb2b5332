"""A tiny narrator."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from transformers import GPT2Config, GPT2LMHeadModel, ProcessorMixin, VisionEncoderDecoderModel

from gaze_vlm.backbones.compose import join_narrator, timm_tower
from gaze_vlm.backbones.narrator import Narrator
from gaze_vlm.backbones.tiny import TinyFamily, common


def build_tiny_narrator(
    words: Sequence[str],
    architecture: str = "vit_tiny_patch16_224",
    vision_width: int = 32,
    language_width: int = 24,
    seed: int = 0,
    image: int = 32,
    patch: int = 8,
    vision_layers: int = common.LAYERS,
    **options: Any,
) -> tuple[VisionEncoderDecoderModel, ProcessorMixin]:
    """Build a narrator and its processor.

    Frames of 32 × 32 px (`image`) make 4 × 4 patches (of `patch` px). `options` are more of the timm model's own.
    """
    tokenizer = common.build_tokenizer(words, {})
    language = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=language_width,
        n_layer=common.LAYERS,
        n_head=common.HEADS,
        n_positions=256,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        add_cross_attention=True,
        **common.token_settings(tokenizer, language_width),
    )
    vision: dict[str, Any] = {
        "img_size": image,
        "patch_size": patch,
        "embed_dim": vision_width,
        "depth": vision_layers,
        "num_heads": common.HEADS,
    }

    def build() -> tuple[VisionEncoderDecoderModel, ProcessorMixin]:
        tower = timm_tower(architecture, **options, **vision)
        return join_narrator(tower, GPT2LMHeadModel(language), tokenizer)

    return common.draw_weights(build, seed)  # type: ignore[no-any-return]


KITCHEN = {
    "vision_width": common.KITCHEN_WIDTH,
    "language_width": common.KITCHEN_WIDTH,
    "image": 96,
    "patch": 12,
    "vision_layers": common.KITCHEN_LAYERS,
}
FAMILIES = {"narrator": TinyFamily(Narrator, partial(build_tiny_narrator, **KITCHEN))}  # type: ignore[arg-type]
