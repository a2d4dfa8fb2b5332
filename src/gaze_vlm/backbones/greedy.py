"""Greedy answers, whatever a checkpoint's generation_config.json says."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import GenerationConfig

from gaze_vlm.backbones.chat_texts import padding_of

TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")


def greedy_config(own: GenerationConfig, tokenizer: Any, max_new_tokens: int) -> GenerationConfig:
    """Make a generation config that changes no logits.

    Checkpoints bring sampling, penalties and banned words: Qwen2.5-VL-Instruct has a repetition penalty of 1.05, which
    is applied to greedy answers too. Of theirs the special tokens alone are kept.

    Args:
        own: the model's.
        tokenizer: the checkpoint's; its end of text, with which answers are trained to end, ends them too.
        max_new_tokens: tokens of the longest answer.
    """
    kept = {name: getattr(own, name, None) for name in TOKENS}
    ends = kept["eos_token_id"]
    ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
    ends = [*dict.fromkeys([*ends, tokenizer.eos_token_id])]
    kept["eos_token_id"] = ends if len(ends) > 1 else ends[0]
    if kept["pad_token_id"] is None:
        kept["pad_token_id"] = padding_of(tokenizer)
    return GenerationConfig(**kept, do_sample=False, max_new_tokens=max_new_tokens)


@contextmanager
def answering_greedily(model: Any, tokenizer: Any, max_new_tokens: int) -> Iterator[None]:
    """Let a model generate by `greedy_config`; its own generation config, which it is saved with, comes back.

    Given to `generate` instead, what it leaves open would be filled from the model's own.
    """
    own = model.generation_config
    model.generation_config = greedy_config(own, tokenizer, max_new_tokens)
    try:
        yield
    finally:
        model.generation_config = own
