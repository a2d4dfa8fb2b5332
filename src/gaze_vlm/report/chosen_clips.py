"""Which clips a page shows, each by a stated rule: a typical one, gains, losses, and looks without an answer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gaze_vlm.comparison.runs import Run
from gaze_vlm.runs.prediction import Prediction

DISTANCE = "attention_kl"


@dataclass(frozen=True)
class Pair:
    """What treatment and control made of one clip, as means over the seeds of both.

    `is_wrong` says that no answer of the treatment has anything of the score, or where that is by meaning, none is the
    target. `gain` is the difference in the headline score, `closer` in meaning, which decides between equal gains.
    `distances` are the KLs from attention to gaze, treatment's and control's; None where either has none.
    """

    clip_id: str
    session: str
    is_wrong: bool
    gain: float
    closer: float
    distances: tuple[float, float] | None


def pairs(treatment: Mapping[int, Run], control: Mapping[int, Run], metric: str, task: str) -> list[Pair]:
    """Pair the answers of two arms to a task on the seeds of both, clip by clip.

    A clip without the score is left out.
    """
    seeds = [seed for seed in treatment if seed in control]
    arms = [[_by_clip(arm[seed], task) for seed in seeds] for arm in (treatment, control)]
    found = []
    for clip_id, first in (arms[0][0] if seeds else {}).items():
        treated, untreated = ([seed[clip_id].scores for seed in arm if clip_id in seed] for arm in arms)

        def mean(scores: Sequence[Mapping[str, float]], name: str) -> float:
            return float(np.mean([one.get(name, np.nan) for one in scores]))

        score, other = mean(treated, metric), mean(untreated, metric)
        if np.isnan(score - other):
            continue
        distances = mean(treated, DISTANCE), mean(untreated, DISTANCE)
        found.append(
            Pair(
                clip_id,
                first.session,
                mean(treated, "exact_match" if metric == "semantic" else metric) == 0,
                score - other,
                float(np.nan_to_num(mean(treated, "semantic") - mean(untreated, "semantic"))),
                None if np.isnan(distances).any() else distances,
            )
        )
    return found


def gains(found: Iterable[Pair], count: int) -> list[str]:
    """Choose where the treatment's score lies most above the control's.

    One clip a session is chosen; ties go by meaning.
    """
    won = (pair for pair in found if pair.gain > 0)
    return _one_a_session(won, lambda pair: (-pair.gain, -pair.closer), count)


def losses(found: Iterable[Pair], count: int) -> list[str]:
    """Choose where the treatment's score lies most below the control's.

    One clip a session is chosen; ties go by meaning.
    """
    lost = (pair for pair in found if pair.gain < 0)
    return _one_a_session(lost, lambda pair: (pair.gain, pair.closer), count)


def looked_in_vain(found: Iterable[Pair], count: int) -> list[str]:
    """Choose where attention is nearest to gaze and no answer is right.

    Attention is the treatment's, and its answers are wrong for every seed.
    """
    wrong = [(pair, pair.distances[0]) for pair in found if pair.is_wrong and pair.distances is not None]
    nearest = {pair.clip_id: distance for pair, distance in wrong}
    return _one_a_session((pair for pair, _ in wrong), lambda pair: (nearest[pair.clip_id],), count)


def typical(found: Sequence[Pair], count: int = 5) -> list[str]:
    """Choose clips of median gain in nearness to gaze over the control."""
    nearer = sorted(
        (pair.distances[1] - pair.distances[0], pair.clip_id) for pair in found if pair.distances is not None
    )
    start = max(0, (len(nearer) - count) // 2)
    return [clip_id for _, clip_id in nearer[start : start + count]]


def _one_a_session(found: Iterable[Pair], key: Callable[[Pair], tuple[float, ...]], count: int) -> list[str]:
    chosen: dict[str, str] = {}
    for pair in sorted(found, key=lambda pair: (*key(pair), pair.clip_id)):
        chosen.setdefault(pair.session, pair.clip_id)
    return list(chosen.values())[:count]


def _by_clip(run: Run, task: str) -> dict[str, Prediction]:
    return {one.clip_id: one for one in run.predictions if one.task == task}
