"""Semantic similarity: cosine of sentence embeddings, the paper's main score (section 4), and what chance gives."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from gaze_vlm.errors import InputError
from gaze_vlm.formats.words import normalise
from gaze_vlm.metrics.bert_score import TokenEncoder, bert_score, check_finite
from gaze_vlm.metrics.sentence_encoder import MiniLM


class Encoder(Protocol):
    """Anything that embeds sentences: `MiniLM`, or a `SentenceTransformer`."""

    def encode(self, sentences: list[str], /) -> Any:
        """Return embeddings of the sentences, [sentence, dimension]."""


@cache
def default_encoder() -> MiniLM:
    """Return the encoder of the paper's score, one for all that ask in this process."""
    return MiniLM()


def semantic_similarity(
    predictions: Sequence[str], targets: Sequence[str], encoder: Encoder
) -> Float[np.ndarray, " sample"]:
    """Return the cosine of each prediction's and target's embedding, in [-1, 1].

    A zero embedding gives 0. Every distinct sentence is encoded once: the answers of a data set with few labels repeat.

    Raises:
        InputError: the two differ in length, or the encoder returns another shape or what is not finite.
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
    check_finite(unique, embedding)
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    unit = embedding / np.where(length > 0, length, 1)
    row = {sentence: index for index, sentence in enumerate(unique)}
    predicted = unit[[row[sentence] for sentence in predictions]]
    target = unit[[row[sentence] for sentence in targets]]
    return np.clip((predicted * target).sum(axis=1), -1, 1)


def embedding_scores(
    predictions: Sequence[str], targets: Sequence[str], encoder: Encoder
) -> dict[str, Float[np.ndarray, " sample"]]:
    """Return the scores that need an encoder.

    They are `semantic`, and the F1 of `bert_score` where it embeds tokens too.

    Raises:
        InputError: the two differ in length, or the encoder returns another shape.
    """
    scores = {"semantic": semantic_similarity(predictions, targets, encoder)}
    if isinstance(encoder, TokenEncoder):
        scores["bert_score"] = bert_score(predictions, targets, encoder).f1
    return scores


def semantic_floor(
    predictions: Sequence[str], targets: Sequence[str], encoder: Encoder
) -> Float[np.ndarray, " sample"]:
    """Return the cosine of each prediction and another sample's target text.

    It says what a score is worth on these texts. NaN where `other_targets` has none.

    Args:
        predictions: of one task.
        targets: of the same samples, in the same order for all arms.
        encoder: see `semantic_similarity`.

    Raises:
        InputError: the two differ in length, or the encoder returns another shape.
    """
    if len(predictions) != len(targets):
        raise InputError(f"{len(predictions)} predictions for {len(targets)} targets: give one a target")
    others = other_targets(targets)
    floor = np.full(len(targets), np.nan)
    given = [index for index, other in enumerate(others) if other is not None]
    floor[given] = semantic_similarity(
        [predictions[index] for index in given], [other for other in others if other is not None], encoder
    )
    return floor


def other_targets(targets: Sequence[str]) -> list[str | None]:
    """Give each target text another, none to two clips.

    It is a derangement of texts that depends on them alone. Equal texts stand together, in the order of their digests,
    which is as good as a drawn one. As many places on as the commonest text has, each finds another. Where one text has
    more than half of the places, the rest of it gets None.
    """
    texts = [normalise(target) for target in targets]
    order = sorted(range(len(texts)), key=lambda index: sha256(texts[index].encode()).digest())
    shift = max(Counter(texts).values(), default=0)
    others: list[str | None] = [None] * len(texts)
    for place, index in enumerate(order):
        other = order[(place + shift) % len(order)]
        if texts[other] != texts[index]:
            others[index] = targets[other]
    return others
