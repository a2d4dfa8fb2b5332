"""A LLaVA of the real classes, small enough for a CPU: random weights, a real processor, an ordinary checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2Config,
)

from gaze_vlm.output import writing


def chat_template(image: str = "", video: str = "") -> str:
    """A chat template that writes `image` for each image of a message, and `video` for each video."""
    return (
        "{% for message in messages %}"
        "{% if message['role'] == 'user' %}<s> user {% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + image + " {% elif part['type'] == 'video' %}" + video + " "
        "{% else %}{{ part['text'] }} {% endif %}{% endfor %}"
        "{% else %}assistant {{ message['content'][0]['text'] }} </s>{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}assistant {% endif %}"
    )


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


def build_tokenizer(words: Sequence[str], special: dict[str, str]) -> PreTrainedTokenizerFast:
    """A tokenizer with one token a word, other words become `<unk>`; `special` tokens by the processor's names."""
    first = ["<pad>", "<s>", "</s>", "<unk>", *special.values(), "user", "assistant"]
    vocabulary = {word: i for i, word in enumerate([*first, *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=special,
        padding_side="left",
    )


def tiny_qwen2(tokenizer: PreTrainedTokenizerFast, width: int) -> Qwen2Config:
    """Two layers of the language model that several families share."""
    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=width**-0.5,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def build_processor(words: Sequence[str], size: TinyLlavaSize) -> LlavaProcessor:
    """A processor with one token a word; other words become `<unk>`."""
    square = {"height": size.image, "width": size.image}
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(size=square, crop_size=square, do_center_crop=False),
        tokenizer=build_tokenizer(words, {"image_token": "<image>"}),
        patch_size=size.patch,
        vision_feature_select_strategy="default",
        chat_template=chat_template("<image>"),
        image_token="<image>",
        num_additional_image_tokens=1,
    )


def build_tiny_llava(
    words: Sequence[str], size: TinyLlavaSize = TinyLlavaSize(), seed: int = 0
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """A LLaVA with random weights drawn by `seed`, and its processor, whose vocabulary is `words`."""
    processor = build_processor(words, size)
    tokenizer = processor.tokenizer
    vision = CLIPVisionConfig(
        hidden_size=size.vision_width,
        intermediate_size=2 * size.vision_width,
        num_hidden_layers=size.vision_layers,
        num_attention_heads=size.heads,
        image_size=size.image,
        patch_size=size.patch,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.language_width,
        intermediate_size=2 * size.language_width,
        num_hidden_layers=size.language_layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=4096,
        initializer_range=size.language_width**-0.5,  # the usual 0.02 is meant for wide models, and learns slowly
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,  # few layers: none is spared
        image_seq_length=(size.image // size.patch) ** 2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlavaForConditionalGeneration(config), processor


def save(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> None:
    """Write an ordinary checkpoint: safetensors, config and processor."""
    with writing(folder):
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
