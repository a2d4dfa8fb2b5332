"""The scores of one sample, as they stand in predictions.jsonl."""

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from gaze_vlm.formats.vocabulary import Vocabulary
from gaze_vlm.metrics.texts import TEXT_SCORES

Group = Literal["labels", "texts", "attention"]


class Score(NamedTuple):
    """A score's column, the group of scores that share a table, its value for the target, and its unit.

    `group` is None for what is in no table. `of_target` is None for what is not of the answer's text alone. What is not
    a share is shown as it is.
    """

    title: str
    group: Group | None
    of_target: float | None = 1.0
    in_points: bool = True


SCORES = {
    "noun": Score("Noun", "labels"),
    "noun_any": Score("Noun anywhere", "labels"),
    "noun_absent": Score("Absent noun", "labels", of_target=0.0),
    "verb": Score("Verb", "labels"),
    "exact_match": Score("Exact match", "texts"),
    "rouge_l": Score("ROUGE-L", "texts"),
    "bleu": Score("BLEU", "texts"),
    "chrf": Score("chrF", "texts"),
    "bert_score": Score("BERTScore", "texts"),
    "semantic": Score("Semantic", "texts"),
    "semantic_floor": Score("Semantic, other clip's reference", "texts", of_target=None),
    "attention_kl": Score("KL", "attention", of_target=None, in_points=False),
    "attention_reverse_kl": Score("Reverse KL", "attention", of_target=None, in_points=False),
    "attention_cc": Score("CC", "attention", of_target=None, in_points=False),
    "attention_sim": Score("SIM", "attention", of_target=None, in_points=False),
    "attention_nss": Score("NSS", "attention", of_target=None, in_points=False),
    "attention_auc": Score("AUC", "attention", of_target=None, in_points=False),
    "attention_shuffled_auc": Score("Shuffled AUC", "attention", of_target=None, in_points=False),
    "attention_information_gain": Score("Information gain", "attention", of_target=None, in_points=False),
    "attention_top10": Score("Top 10 inside gaze", "attention", of_target=None),
    "cross_entropy": Score("Cross-entropy", None, of_target=None, in_points=False),
}
"""All scores of predictions.jsonl, in the order of the tables' columns; docs/scores.md describes them."""

HEADLINES: dict[Group, str] = {"labels": "noun", "texts": "semantic", "attention": "attention_kl"}
"""The groups in the order of a page's tables, and of each the score whose difference from the control is shown."""

OF_HEADS = ("kl", "nss", "auc")
"""Scores of each head of each layer in alignment.json."""


def label_scores(
    prediction: str, verb: str | None, noun: str | None, clip_nouns: Collection[str], labels: Vocabulary
) -> dict[str, float]:
    """Score the labels of one answer, each 0.0 or 1.0.

    `verb` and `noun`: the first label that the answer names is the target's. `noun_any`: the answer names the target's
    noun somewhere. `noun_absent`, where less is better: it names a noun that nothing annotated around the clip has, so
    that an answer does not gain by naming more.

    Args:
        prediction: generated answer.
        verb: the target's verb label. Where it is None or none of the vocabulary's, `verb` is left out.
        noun: the target's noun label; the three scores of nouns are treated alike.
        clip_nouns: noun labels of all that is annotated around the clip.
        labels: the data set's.
    """
    scores = {}
    if verb is not None and (known := labels.verbs.spelled(verb)) is not None:
        scores["verb"] = float(labels.verb(prediction) == known)
    if noun is not None and (known := labels.nouns.spelled(noun)) is not None:
        named = labels.named_nouns(prediction)
        scores["noun"] = float(named[:1] == (known,))
        scores["noun_any"] = float(known in named)
        scores["noun_absent"] = float(not {known, *clip_nouns}.issuperset(named))
    return scores


def score_sample(
    prediction: str,
    target: str,
    verb: str | None,
    noun: str | None,
    clip_nouns: Sequence[str],
    labels: Vocabulary,
) -> dict[str, float]:
    """Score one prediction in [0, 1] by its text and its labels.

    The scores are those of `TEXT_SCORES`, and those of verb and noun where they are labelled. The target text itself
    scores 1 in each, and 0 in `noun_absent`, where less is better.

    Scores of embeddings are not among them: sentences are embedded in batches (`embedding_scores`).

    Args:
        prediction: generated answer.
        target: target text.
        verb: the target's verb label, see `label_scores`; so are the other labels.
        noun: the target's noun label.
        clip_nouns: noun labels of all that is annotated around the clip.
        labels: the data set's.
    """
    scores = {name: score(prediction, target) for name, score in TEXT_SCORES.items()}
    return scores | label_scores(prediction, verb, noun, clip_nouns, labels)
