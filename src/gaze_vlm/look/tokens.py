"""Tokens of an answer as texts that a reader can tell apart."""

from collections.abc import Sequence
from typing import Any

UNFINISHED = "\ufffd"  # what decoders write for bytes that are no whole letter


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Return what each token adds to the text, a space before a word with it.

    A token that ends no letter, or adds nothing, is shown by its name in the vocabulary, as are special ones.
    """
    special, texts, before = set(tokenizer.all_special_ids), [], ""
    for number, id_ in enumerate(ids):
        whole = tokenizer.decode(ids[: number + 1], clean_up_tokenization_spaces=False)
        added = whole.removeprefix(before)
        if id_ in special or not added or whole.endswith(UNFINISHED) or not whole.startswith(before):
            added = str(tokenizer.convert_ids_to_tokens(id_))
        texts.append(added)
        before = whole.rstrip(UNFINISHED)
    return texts
