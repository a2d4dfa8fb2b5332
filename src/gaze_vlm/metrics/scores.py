"""The scores of one sample, as they stand in predictions.jsonl."""

from collections.abc import Sequence
from typing import NamedTuple

from gaze_vlm.formats.vocabulary import Vocabulary
from gaze_vlm.metrics.labels import label_scores
from gaze_vlm.metrics.text import exact_match, rouge_l


class Score(NamedTuple):
    """A score's column in the table, what the target text itself has, and whether it is shown in points of a hundred.

    `of_target` is None for what is not of the answer's text alone. What is not a share is shown as it is.
    """

    title: str
    of_target: float | None = 1.0
    in_points: bool = True


SCORES = {
    "noun": Score("Noun"),
    "noun_any": Score("Noun anywhere"),
    "noun_absent": Score("Absent noun", of_target=0.0),
    "verb": Score("Verb"),
    "exact_match": Score("Exact match"),
    "rouge_l": Score("ROUGE-L"),
    "semantic": Score("Semantic"),
    "attention_kl": Score("KL", of_target=None, in_points=False),
    "cross_entropy": Score("Cross-entropy", of_target=None, in_points=False),
}
"""All scores of predictions.jsonl, in the order of the table's columns; docs/scores.md describes them."""


def score_sample(
    prediction: str,
    target: str,
    verb: str | None,
    noun: str | None,
    clip_nouns: Sequence[str],
    labels: Vocabulary,
) -> dict[str, float]:
    """Scores of one prediction in [0, 1]: exact_match, rouge_l, and those of verb and noun where they are labelled.

    The target text itself scores 1 in each, and 0 in `noun_absent`, where less is better.

    The semantic score is not among them: sentences are embedded in batches (`semantic_similarity`).

    Args:
        prediction: generated answer.
        target: target text.
        verb: the target's verb label, see `label_scores`; so are the other labels.
        noun: the target's noun label.
        clip_nouns: noun labels of all that is annotated around the clip.
        labels: the data set's.
    """
    scores = {"exact_match": exact_match(prediction, target), "rouge_l": rouge_l(prediction, target)}
    return scores | label_scores(prediction, verb, noun, clip_nouns, labels)
