"""The words of texts, and the labels that they name."""

import re
from collections.abc import Sequence


def normalise(text: str) -> str:
    """Lower case, with every run of white space one space and none at the ends."""
    return " ".join(text.lower().split())


def first_label(text: str, vocabulary: Sequence[str]) -> str | None:
    """The label that stands first in the text as whole words, the longest of those that begin there.

    Case and white space do not matter. Only the first label counts, so that a text that lists the whole
    vocabulary names one label, like any other text. None when the text names no label.
    """
    labels = {normalise(label): label for label in vocabulary}
    labels.pop("", None)
    if not labels:
        return None
    # Alternatives are tried in order: the longest first, so that "cutting board" is not read as "cutting".
    alternatives = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    found = re.search(rf"(?<!\w)(?:{alternatives})(?!\w)", normalise(text))
    return None if found is None else labels[found.group()]
