"""Scores of the verb and noun labels that an answer names."""

from collections.abc import Collection

from gaze_vlm.formats.vocabulary import Vocabulary


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
        noun: the target's noun label; the three scores of nouns likewise.
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
