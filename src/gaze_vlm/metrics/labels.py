"""Verb and noun accuracy: the first label of the vocabulary that a text names."""

import re
from collections.abc import Sequence

from gaze_vlm.metrics.text import normalise


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


def label_accuracy(prediction: str, label: str, vocabulary: Sequence[str]) -> float:
    """1.0 when the first label that the prediction names is the target's, else 0.0.

    Raises ValueError when the target's label is not of the vocabulary, since no prediction could score.
    """
    if normalise(label) not in {normalise(known) for known in vocabulary}:
        raise ValueError(
            f"target label {label!r} is none of the data set's {len(vocabulary)} labels: "
            "make the reader return it in its vocabulary"
        )
    named = first_label(prediction, vocabulary)
    return float(named is not None and normalise(named) == normalise(label))
