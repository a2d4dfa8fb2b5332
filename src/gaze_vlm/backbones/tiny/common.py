"""Parts that the tiny models share: sizes, tokenizer, chat template, language models."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config

KITCHEN_WIDTH, KITCHEN_LAYERS = 64, 3  # of the kitchen's checkpoints; layers that the vision tower uses
LAYERS, HEADS = 2, 2


def draw_weights(build: Callable[[], Any], seed: int) -> Any:
    """Build a model whose weights are drawn by `seed`; no other draw is changed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def square(side_px: int) -> dict[str, int]:
    """Give the size of a square image as processors write it."""
    return {"height": side_px, "width": side_px}


def vision_sizes(width: int, image: Any, patch: Any, layers: int = LAYERS, heads: int = HEADS) -> dict[str, Any]:
    """Name the sizes of a vision tower as most configs do; in pixels."""
    return {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "image_size": image,
        "patch_size": patch,
    }


def language_sizes(
    tokenizer: PreTrainedTokenizerFast, width: int, layers: int = LAYERS, heads: int = HEADS
) -> dict[str, Any]:
    """Name the sizes and tokens of a language model as most configs do."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": 4096,
        **token_settings(tokenizer, width),
    }


def token_settings(tokenizer: PreTrainedTokenizerFast, width: int) -> dict[str, Any]:
    """Name the special tokens, and the size of random weights."""
    return {
        "initializer_range": width**-0.5,  # the usual 0.02 is meant for wide models, and learns slowly
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def tiny_qwen2(tokenizer: PreTrainedTokenizerFast, width: int) -> Qwen2Config:
    """Configure the language model that several families share."""
    return Qwen2Config(**language_sizes(tokenizer, width))


def chat_template(image: str = "", video: str = "") -> str:
    """Make a chat template that writes `image` for each image and `video` for each video."""
    return (
        "{% for message in messages %}"
        "{% if message['role'] == 'user' %}<s> user {% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + image + " {% elif part['type'] == 'video' %}" + video + " "
        "{% else %}{{ part['text'] }} {% endif %}{% endfor %}"
        "{% else %}assistant {{ message['content'][0]['text'] }} </s>{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}assistant {% endif %}"
    )


def build_tokenizer(words: Sequence[str], special: dict[str, str]) -> PreTrainedTokenizerFast:
    """Build a tokenizer with one token a word; other words become `<unk>`.

    Args:
        words: the vocabulary.
        special: more special tokens, by the names that the processor has for them.
    """
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
