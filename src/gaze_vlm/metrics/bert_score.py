"""BERTScore: precision, recall and F1 of two texts by the tokens that are nearest (Zhang et al. 2020)."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from gaze_vlm.errors import InputError


@runtime_checkable
class TokenEncoder(Protocol):
    """Anything that embeds the tokens of sentences, as `MiniLM` does."""

    def encode_tokens(self, sentences: list[str], /) -> Any:
        """Return a matrix [token, dimension] for each sentence.

        Tokens that stand for no text are left out.
        """


class BertScore(NamedTuple):
    """Precision, recall and F1 of each prediction."""

    precision: Float[np.ndarray, " sample"]
    recall: Float[np.ndarray, " sample"]
    f1: Float[np.ndarray, " sample"]


def bert_score(predictions: Sequence[str], targets: Sequence[str], encoder: TokenEncoder) -> BertScore:
    """Return the BERTScore of each prediction (Zhang et al. 2020).

    P = mean over the prediction's tokens of the largest cosine with a token of the target, R the same with the two
    exchanged, F1 = 2 · P · R / (P + R). Tokens count alike (no idf), and nothing is rescaled. F1 is 0 where P or R is
    not above 0. A text without tokens gives 0, two of them 1.

    Every distinct sentence is encoded once, and every distinct pair compared once.

    Raises:
        InputError: the two differ in length, or the encoder returns another shape or what is not finite.
    """
    if len(predictions) != len(targets):
        raise InputError(f"{len(predictions)} predictions for {len(targets)} targets: give one a target")
    sentences = list(dict.fromkeys([*predictions, *targets]))
    tokens = dict(zip(sentences, _unit_tokens(sentences, encoder), strict=True))
    pairs = list(zip(predictions, targets, strict=True))
    scores = {pair: _scores(tokens[pair[0]], tokens[pair[1]]) for pair in set(pairs)}
    return BertScore(*np.array([scores[pair] for pair in pairs]).reshape(-1, 3).T)


def check_finite(sentences: Sequence[str], embedded: Iterable[np.ndarray]) -> None:
    """Check an encoder's embedding of each sentence, whatever its shape.

    Raises:
        InputError: one is not finite; the message has the sentence.
    """
    for sentence, embedding in zip(sentences, embedded, strict=True):
        if not np.isfinite(embedding).all():
            raise InputError(f"the encoder's embedding of {sentence!r} is not finite: use another encoder")


def _unit_tokens(sentences: list[str], encoder: TokenEncoder) -> list[np.ndarray]:
    embedded = [np.asarray(tokens, dtype=np.float64) for tokens in encoder.encode_tokens(sentences)]
    if len(embedded) != len(sentences) or any(tokens.ndim != 2 for tokens in embedded):
        raise InputError(
            f"the encoder returned shapes {[tokens.shape for tokens in embedded[:3]]} for {len(sentences)} sentences: "
            "encode_tokens(list[str]) must return a matrix [token, dimension] for each"
        )
    check_finite(sentences, embedded)
    lengths = [np.linalg.norm(tokens, axis=1, keepdims=True) for tokens in embedded]
    return [tokens / np.where(length > 0, length, 1) for tokens, length in zip(embedded, lengths, strict=True)]


def _scores(predicted: np.ndarray, target: np.ndarray) -> tuple[float, float, float]:
    if not len(predicted) or not len(target):
        same = float(len(predicted) == len(target))
        return same, same, same
    cosine = np.clip(predicted @ target.T, -1, 1)
    precision, recall = float(cosine.max(axis=1).mean()), float(cosine.max(axis=0).mean())
    f1 = 2 * precision * recall / (precision + recall) if min(precision, recall) > 0 else 0.0
    return precision, recall, f1
