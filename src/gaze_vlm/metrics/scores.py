"""The scores of one sample, as they stand in predictions.jsonl."""

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from gaze_vlm.formats.vocabulary import Vocabulary
from gaze_vlm.metrics.texts import TEXT_SCORES

Group = Literal["labels", "texts", "attention"]


class Score(NamedTuple):
    """A score's column, the group of scores that share a table, its value for the target, and its unit.

    `group` is None for what is in no table. `of_target` is None for what is not of the answer's text alone. What is not
    a share is shown as it is. `weight` names the score that weighs this one in a mean, which then is a ratio of sums.
    """

    title: str
    group: Group | None
    of_target: float | None = 1.0
    in_points: bool = True
    weight: str | None = None


SCORES = {
    "noun": Score("Noun", "labels"),
    "noun_any": Score("Noun anywhere", "labels"),
    "noun_absent": Score("CHAIRs", "labels", of_target=0.0),
    "chair_i": Score("CHAIRi", "labels", of_target=0.0, weight="nouns_named"),
    "nouns_named": Score("Nouns named", None, of_target=None, in_points=False),
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

DASH = "—"
"""What tables and pages have in place of a number that is not there."""

OF_HEADS = ("kl", "nss", "auc")
"""Scores of each head of each layer in alignment.json."""


def label_scores(
    prediction: str, verb: str | None, noun: str | None, clip_nouns: Collection[str], labels: Vocabulary
) -> dict[str, float]:
    """Score the labels of one answer.

    `verb` and `noun`: the first label that the answer names is the target's. `noun_any`: the answer names the target's
    noun somewhere. An answer does not gain by naming more: see `hallucination`.

    Args:
        prediction: generated answer.
        verb: the target's verb label. Where it is None or none of the vocabulary's, `verb` is left out.
        noun: the target's noun label; `noun` and `noun_any` are treated alike.
        clip_nouns: noun labels of all that is annotated around the clip. Where it has none of the vocabulary's, and
            `noun` is none either, the scores of hallucination are left out.
        labels: the data set's.
    """
    scores = {}
    if verb is not None and (known := labels.verbs.spelled(verb)) is not None:
        scores["verb"] = float(labels.verb(prediction) == known)
    named = labels.named_nouns(prediction)
    if noun is not None and (known := labels.nouns.spelled(noun)) is not None:
        scores["noun"] = float(named[:1] == (known,))
        scores["noun_any"] = float(known in named)
    annotated = {labels.nouns.spelled(label) for label in (noun, *clip_nouns) if label is not None} - {None}
    return scores | (hallucination(named, annotated) if annotated else {})


def hallucination(named: Collection[str], present: Collection[str | None]) -> dict[str, float]:
    """Count the objects that an answer names and its clip does not show.

    This is CHAIR (Rohrbach et al. 2018). `noun_absent` is 1.0 where the answer names one at all: its mean is CHAIRs,
    the share of such answers. `chair_i` is the share of the named objects that are absent, and missing where none is
    named. Weighed by `nouns_named`, the number of objects that the answer names, its mean is CHAIRi: absent objects
    named / objects named.

    Args:
        named: objects that the answer names, each once.
        present: objects that the clip shows, by what is annotated.
    """
    absent = sum(label not in present for label in named)
    scores = {"noun_absent": float(absent > 0), "nouns_named": float(len(named))}
    return scores | ({"chair_i": absent / len(named)} if named else {})


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
    has `of_target` in each.

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
