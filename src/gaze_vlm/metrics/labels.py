"""Verb and noun accuracy: the first label of the vocabulary that a text names."""

from collections.abc import Sequence

from gaze_vlm.errors import InputError
from gaze_vlm.formats.words import first_label, normalise


def label_accuracy(prediction: str, label: str, vocabulary: Sequence[str]) -> float:
    """1.0 when the first label that the prediction names is the target's, else 0.0.

    Raises ValueError when the target's label is not of the vocabulary, since no prediction could score.
    """
    if normalise(label) not in {normalise(known) for known in vocabulary}:
        raise InputError(
            f"target label {label!r} is none of the data set's {len(vocabulary)} labels: "
            "make the reader return it in its vocabulary"
        )
    named = first_label(prediction, vocabulary)
    return float(named is not None and normalise(named) == normalise(label))
