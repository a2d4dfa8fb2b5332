"""A tiny SmolVLM."""

from collections.abc import Sequence
from functools import partial

from transformers import (
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
    SmolVLMVisionConfig,
)

from gaze_vlm.backbones.smolvlm import SmolVLM
from gaze_vlm.backbones.tiny import TinyFamily, common


def build_tiny_smolvlm(
    words: Sequence[str],
    width: int = 32,
    seed: int = 0,
    image: int = 50,
    patch: int = 4,
    shuffled: int = 3,
    layers: int = common.LAYERS,
) -> tuple[SmolVLMForConditionalGeneration, SmolVLMProcessor]:
    """Build a SmolVLM and its processor.

    Frames of 50 × 50 px (`image`) make 12 × 12 patches (of `patch` px), which leave two pixels uncovered as the real
    ones do, and 4 × 4 visual tokens (of `shuffled` patches along a side).
    """
    special = {
        "image_token": "<image>",
        "video_token": "<video>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tokenizer = common.build_tokenizer(words, special)
    tokenizer.eos_token = "<end_of_utterance>"  # of the chat template that the processor brings for videos
    processor = SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(max_image_size={"longest_edge": image}),
        tokenizer=tokenizer,
        video_processor=SmolVLMVideoProcessor(max_image_size={"longest_edge": image}),
        image_seq_len=(image // patch // shuffled) ** 2,
    )
    config = SmolVLMConfig(
        vision_config=SmolVLMVisionConfig(**common.vision_sizes(width, image, patch, layers)),
        text_config=common.tiny_qwen2(tokenizer, width),
        image_token_id=tokenizer.get_vocab()["<image>"],
        pad_token_id=tokenizer.pad_token_id,  # type: ignore[call-arg]  # else older versions pad with the real one
        scale_factor=shuffled,
    )
    return common.draw_weights(lambda: SmolVLMForConditionalGeneration(config), seed), processor


FAMILIES = {
    "smolvlm2": TinyFamily(
        SmolVLM,
        partial(
            build_tiny_smolvlm, width=common.KITCHEN_WIDTH, image=96, patch=6, shuffled=2, layers=common.KITCHEN_LAYERS
        ),
    )
}
