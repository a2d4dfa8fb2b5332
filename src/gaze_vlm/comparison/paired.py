"""Scores of runs by clip, and the difference of two arms on the seeds and clips of both."""

from collections.abc import Iterable, Mapping
from math import isnan, nan
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gaze_vlm.comparison.groups import in_task
from gaze_vlm.comparison.permutation import paired_p
from gaze_vlm.comparison.runs import METRICS, Run
from gaze_vlm.comparison.statistics import ratio_values, sd_over_seeds, seeds_interval, session_interval
from gaze_vlm.metrics.scores import SCORES


class ArmScores(NamedTuple):
    """All scores of an arm on one task, NaN where a clip has none.

    Those with a weight are as `ratio_values` has them. `seeds` and `sessions` name two of the axes.
    """

    values: Float[np.ndarray, "metric seed clip"]
    seeds: tuple[int, ...]
    sessions: tuple[str, ...]

    def of(self, metric: str) -> Float[np.ndarray, "seed clip"]:
        """Return one of `METRICS`."""
        return self.values[METRICS.index(metric)]


class Difference(NamedTuple):
    """Arm − reference, with its interval by sessions and the one for other seeds too, sd over seeds, and p.

    NaN where a number does not exist.
    """

    mean: float
    low: float
    high: float
    seeds_low: float
    seeds_high: float
    sd: float
    p: float

    @property
    def interval(self) -> tuple[float, float]:
        """The interval for other seeds too where there is one, else the one by sessions."""
        return (self.low, self.high) if isnan(self.seeds_low) else (self.seeds_low, self.seeds_high)

    @property
    def is_sure(self) -> bool:
        """Whether `interval` leaves out 0."""
        low, high = self.interval
        return low > 0 or high < 0


def arm_scores(arm: Mapping[int, Run], task: str, reach_s: float) -> ArmScores:
    """Read the scores of an arm's runs, by seed, which were tested on the same clips."""
    answers = [{p.clip_id: p for p in run.predictions if in_task(p, task, reach_s)} for run in arm.values()]
    clips = sorted(answers[0]) if answers else []

    def of(name: str) -> Float[np.ndarray, "seed clip"]:
        values = [[of_run[clip].scores.get(name, nan) for clip in clips] for of_run in answers]
        return np.array(values, dtype=float).reshape(len(answers), len(clips))

    weights = {name: SCORES[name].weight for name in METRICS}
    values = [of(name) if (weight := weights[name]) is None else ratio_values(of(name), of(weight)) for name in METRICS]
    return ArmScores(np.stack(values), tuple(arm), tuple(answers[0][clip].session for clip in clips))


def paired_difference(arm: ArmScores, reference: ArmScores, metric: str) -> Difference | None:
    """Estimate arm − reference on the seeds of both; None where they share none."""
    shared = [seed for seed in arm.seeds if seed in reference.seeds]
    if not shared:
        return None
    treated = arm.of(metric)[_rows(arm.seeds, shared)]
    untreated = reference.of(metric)[_rows(reference.seeds, shared)]
    values = treated - untreated
    of_sessions, of_seeds = session_interval(values, arm.sessions), seeds_interval(values, arm.sessions)
    return Difference(
        mean=of_sessions.mean,
        low=of_sessions.low,
        high=of_sessions.high,
        seeds_low=of_seeds.low,
        seeds_high=of_seeds.high,
        sd=sd_over_seeds(values),
        p=paired_p(treated, untreated, arm.sessions),
    )


def _rows(seeds: tuple[int, ...], chosen: Iterable[int]) -> list[int]:
    return [seeds.index(seed) for seed in chosen]
