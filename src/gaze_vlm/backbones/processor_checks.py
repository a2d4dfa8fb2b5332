"""Whether a checkpoint's processor is that of its model."""

from typing import Any

from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.errors import InputError

KINDS: tuple[Media, ...] = ("image", "video")


def check_processor(processor: Any, config: Any, media: Media, checkpoint: str) -> None:
    """Refuse a processor that lacks a part, or whose placeholders are other tokens than the model's.

    Args:
        processor: what the library found.
        config: of the model.
        media: what a clip is to the model.
        checkpoint: for the message.

    Raises:
        InputError: naming what does not fit.
    """
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or getattr(processor, f"{media}_processor", None) is None:
        lacking = "tokenizer" if tokenizer is None else f"{media} processor"
        raise InputError(
            f"{checkpoint} has no {lacking} (its processor is a {type(processor).__name__}): copy or download the "
            "whole checkpoint, with the processor's files"
        )
    if tokenizer.eos_token_id is None:
        raise InputError(f"{checkpoint}: its tokenizer has no end of text: set eos_token in its tokenizer_config.json")
    for kind in (media,) if hasattr(config, f"{media}_token_id") else KINDS:
        token, expected = getattr(processor, f"{kind}_token", None), getattr(config, f"{kind}_token_id", None)
        found = None if token is None else tokenizer.convert_tokens_to_ids(str(token))
        if None not in (expected, found) and found != expected:
            raise InputError(
                f"{checkpoint}: its processor writes {token} for a visual token, token {found}, and the model reads "
                f"token {expected}: take processor and weights of one checkpoint"
            )
