"""A tiny LLaVA."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.tiny import TinyFamily, common


@dataclass(frozen=True)
class TinyLlavaSize:
    """Dimensions of a tiny LLaVA; pixels for `image` and `patch`."""

    image: int = 96
    patch: int = 12
    vision_width: int = 96
    vision_layers: int = 4
    language_width: int = 96
    language_layers: int = 2
    heads: int = 4


def build_processor(words: Sequence[str], size: TinyLlavaSize) -> LlavaProcessor:
    """Build a processor with one token a word; other words become `<unk>`."""
    side = common.square(size.image)
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(size=side, crop_size=side, do_center_crop=False),
        tokenizer=common.build_tokenizer(words, {"image_token": "<image>"}),
        patch_size=size.patch,
        vision_feature_select_strategy="default",
        chat_template=common.chat_template("<image>"),
        image_token="<image>",
        num_additional_image_tokens=1,
    )


def build_tiny_llava(
    words: Sequence[str], size: TinyLlavaSize = TinyLlavaSize(), seed: int = 0
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """Build a LLaVA and its processor."""
    processor = build_processor(words, size)
    tokenizer = processor.tokenizer
    vision = common.vision_sizes(size.vision_width, size.image, size.patch, size.vision_layers, size.heads)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**vision),
        text_config=LlamaConfig(
            **common.language_sizes(tokenizer, size.language_width, size.language_layers, size.heads)
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,  # few layers: none is spared
        image_seq_length=(size.image // size.patch) ** 2,
    )
    return common.draw_weights(lambda: LlavaForConditionalGeneration(config), seed), processor


KITCHEN_SIZE = TinyLlavaSize(
    vision_width=common.KITCHEN_WIDTH,
    vision_layers=common.KITCHEN_LAYERS,
    language_width=common.KITCHEN_WIDTH,
)
FAMILIES = {"llava": TinyFamily(Llava, partial(build_tiny_llava, size=KITCHEN_SIZE))}
