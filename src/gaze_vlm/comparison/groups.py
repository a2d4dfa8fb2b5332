"""The parts of the future task, and what an oracle without a model would score on it.

Half of all futures are the action that is already going on. A gain there is a gain in naming what is seen, not
in anticipation, so the future is always shown in three parts beside an oracle that repeats the current action.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np

from gaze_vlm.formats.words import normalise
from gaze_vlm.metrics.semantic import Encoder, embedding_scores
from gaze_vlm.metrics.texts import TEXT_SCORES, exact_match
from gaze_vlm.runs.prediction import TASKS, Prediction

GROUPS = ("same", "reach", "unseen")
SPLIT_TASKS = (*TASKS, *(f"future/{group}" for group in GROUPS))


def future_group(same_action: bool, future_starts_in_s: float, reach_s: float) -> str:
    """Return which part of the future task a clip is.

    Args:
        same_action: the future is the action that goes on at the end of the clip.
        future_starts_in_s: seconds from the end of the clip to the start of the future action, 0 or less where that has
            begun.
        reach_s: how long before its action the hand's reach is visible.

    Returns:
        `same`; `reach` when the future action starts within `reach_s`, so that its reach may show; else `unseen`.
    """
    if same_action:
        return "same"
    return "reach" if future_starts_in_s <= reach_s else "unseen"


def in_task(prediction: Prediction, task: str, reach_s: float) -> bool:
    """Return whether a prediction belongs to one of `SPLIT_TASKS`."""
    if task in TASKS:
        return prediction.task == task
    group = future_group(prediction.same_action, prediction.future_starts_in_s, reach_s)
    return prediction.task == "future" and task == f"future/{group}"


def repeat_current(
    predictions: Iterable[Prediction], task: str, reach_s: float, encoder: Encoder | None
) -> dict[str, float]:
    """Score an oracle that answers the current action to the future question.

    Clips without a current target are left out: nothing is there to be repeated.

    Args:
        predictions: of one run, both tasks; only their targets are used.
        task: one of the future tasks of `SPLIT_TASKS`.
        reach_s: see `future_group`.
        encoder: for the semantic score; None leaves it out.

    Returns:
        Means of `METRICS`, as far as the targets allow: noun and verb need labelled targets.
    """
    predictions = list(predictions)
    current = {p.clip_id: p for p in predictions if p.task == "activity"}
    pairs = [(current[p.clip_id], p) for p in predictions if in_task(p, task, reach_s) and p.clip_id in current]
    return _copied(pairs, encoder)


def repeat_previous(
    predictions: Iterable[Prediction], task: str, reach_s: float, encoder: Encoder | None
) -> dict[str, float]:
    """Score an oracle that copies the target of the session's previous clip.

    It is the last clip of the session that ends before this one, and the same task's target. Clips without one are left
    out. Arguments and result as for `repeat_current`; any of `SPLIT_TASKS`. Tests of older versions do not say when a
    clip ends: they have no such oracle.
    """
    of_session = defaultdict(list)
    for one in predictions:
        if one.session_end_s is not None:
            of_session[one.session, one.task].append(one)
    pairs = []
    for clips in of_session.values():
        clips.sort(key=lambda one: one.session_end_s or 0.0)
        pairs += [(before, one) for before, one in pairwise(clips) if in_task(one, task, reach_s)]
    return _copied(pairs, encoder)


def majority(predictions: Iterable[Prediction], task: str, reach_s: float, encoder: Encoder | None) -> dict[str, float]:
    """Score the commonest answer: no constant answer is more accurate.

    The commonest noun for noun, the commonest verb for verb, the commonest text for the scores of texts. Arguments and
    result as for `repeat_current`; any of `SPLIT_TASKS`.
    """
    chosen = [p for p in predictions if in_task(p, task, reach_s)]
    texts = [normalise(p.target) for p in chosen]
    return (
        _label_match("noun", _constant([p.target_noun for p in chosen]))
        | _label_match("verb", _constant([p.target_verb for p in chosen]))
        | _text_scores([answer for answer, _ in _constant(texts)], texts, encoder)
    )


ORACLES: dict[str, Callable[[Iterable[Prediction], str, float, Encoder | None], dict[str, float]]] = {
    "repeat_current": repeat_current,
    "repeat_previous": repeat_previous,
    "majority": majority,
}


def oracles_of(task: str) -> Sequence[str]:
    """List the oracles of a task; repeating the current action is one of the future."""
    return [name for name in ORACLES if name != "repeat_current" or task != "activity"]


def _copied(pairs: Sequence[tuple[Prediction, Prediction]], encoder: Encoder | None) -> dict[str, float]:
    """The scores of answers that copy the first one's target where the second one's is asked for."""
    return (
        _label_match("noun", [(copied.target_noun, asked.target_noun) for copied, asked in pairs])
        | _label_match("verb", [(copied.target_verb, asked.target_verb) for copied, asked in pairs])
        | _text_scores([copied.target for copied, _ in pairs], [asked.target for _, asked in pairs], encoder)
    )


def _constant(targets: Sequence[str | None]) -> list[tuple[str, str]]:
    given = [target for target in targets if target is not None]
    if not given:
        return []
    commonest = Counter(given).most_common(1)[0][0]
    return [(commonest, target) for target in given]


def _label_match(name: str, pairs: Sequence[tuple[str | None, str | None]]) -> dict[str, float]:
    labelled = [(a, b) for a, b in pairs if a is not None and b is not None]
    return {name: float(np.mean([exact_match(a, b) for a, b in labelled]))} if labelled else {}


def _text_scores(answers: Sequence[str], targets: Sequence[str], encoder: Encoder | None) -> dict[str, float]:
    if not answers:
        return {}
    pairs = Counter(zip(answers, targets, strict=True))
    scores = {
        name: sum(score(*pair) * count for pair, count in pairs.items()) / len(answers)
        for name, score in TEXT_SCORES.items()
    }
    if encoder is not None:
        scores |= {name: float(values.mean()) for name, values in embedding_scores(answers, targets, encoder).items()}
    return scores
