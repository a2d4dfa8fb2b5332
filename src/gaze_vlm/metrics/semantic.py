"""Semantic similarity: cosine of sentence embeddings, the paper's main score (section 4)."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from gaze_vlm.errors import InputError
from gaze_vlm.metrics.sentence_encoder import MiniLM


class Encoder(Protocol):
    """Anything that embeds sentences: `MiniLM`, or a `SentenceTransformer`."""

    def encode(self, sentences: list[str], /) -> Any:
        """Return embeddings of the sentences, [sentence, dimension]."""


def default_encoder() -> MiniLM:
    """Return the encoder of the paper's score."""
    return MiniLM()


def semantic_similarity(
    predictions: Sequence[str], targets: Sequence[str], encoder: Encoder
) -> Float[np.ndarray, " sample"]:
    """Return the cosine of each prediction's and target's embedding, in [-1, 1].

    A zero embedding gives 0. Every distinct sentence is encoded once: the answers of a data set with few labels repeat.

    Raises:
        InputError: the two differ in length, or the encoder returns another shape.
    """
    if len(predictions) != len(targets):
        raise InputError(f"{len(predictions)} predictions for {len(targets)} targets: give one a target")
    if not predictions:
        return np.zeros(0)
    unique = list(dict.fromkeys([*predictions, *targets]))
    embedding = np.asarray(encoder.encode(unique), dtype=np.float64)
    if embedding.ndim != 2 or len(embedding) != len(unique):
        raise InputError(
            f"the encoder returned shape {embedding.shape} for {len(unique)} sentences: "
            "encode(list[str]) must return [sentence, dimension]"
        )
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    unit = embedding / np.where(length > 0, length, 1)
    row = {sentence: index for index, sentence in enumerate(unique)}
    predicted = unit[[row[sentence] for sentence in predictions]]
    target = unit[[row[sentence] for sentence in targets]]
    return np.clip((predicted * target).sum(axis=1), -1, 1)
