"""The scores of one sample, as they stand in predictions.jsonl."""

from collections.abc import Mapping, Sequence
from typing import Any

from gaze_vlm.metrics.labels import label_accuracy
from gaze_vlm.metrics.text import exact_match, rouge_l

SCORES = ("semantic", "rouge_l", "exact_match", "verb", "noun", "attention_kl", "cross_entropy")


def score_sample(
    prediction: str,
    target: str,
    verb: str | None,
    noun: str | None,
    verbs: Sequence[str],
    nouns: Sequence[str],
) -> dict[str, float]:
    """Scores of one prediction in [0, 1]: exact_match, rouge_l, and verb and noun where they are labelled.

    The semantic score is not among them: sentences are embedded in batches (`semantic_similarity`).

    Args:
        prediction: generated answer.
        target: target text.
        verb: the target's verb label; None, when the data set has none, leaves `verb` out of the scores.
        noun: the target's noun label; None leaves `noun` out.
        verbs: the data set's verb labels.
        nouns: the data set's noun labels.
    """
    scores = {"exact_match": exact_match(prediction, target), "rouge_l": rouge_l(prediction, target)}
    if verb is not None:
        scores["verb"] = label_accuracy(prediction, verb, verbs)
    if noun is not None:
        scores["noun"] = label_accuracy(prediction, noun, nouns)
    return scores


def mean_scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean of every score for each task, over the rows that have it, and the number of `clips`.

    `rows` are those of predictions.jsonl.
    """
    means: dict[str, dict[str, float]] = {}
    for task in dict.fromkeys(row["task"] for row in rows):
        of_task = [row for row in rows if row["task"] == task]
        means[task] = {"clips": float(len(of_task))}
        for name in SCORES:
            values = [row[name] for row in of_task if row.get(name) is not None]
            if values:
                means[task][name] = sum(values) / len(values)
    return means
