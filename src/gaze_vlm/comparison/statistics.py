"""Means over seeds and clips, with intervals that respect that clips of one session resemble each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student_t

from gaze_vlm.errors import InputError

LEAST_SESSIONS = 6
"""With fewer sessions there is no interval: none covers as often as it says (docs/scores.md)."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, which is NaN with too few sessions.

    Fewer than `LEAST_SESSIONS` are too few.
    """

    mean: float
    low: float
    high: float
    clips: int
    sessions: int


def session_interval(values: Float[np.ndarray, "seed clip"], sessions: Sequence[str], level: float = 0.95) -> Estimate:
    """Estimate the mean over seeds and clips, with an interval for other sessions.

    The values are first averaged over seeds; then `cluster_t` takes the sessions. So the interval says how far the mean
    would move with other sessions *for the runs at hand*; how far it moves with other seeds is `sd_over_seeds`, since
    two or three seeds are too few to tell. For a paired comparison give the differences of two arms on the same seeds
    and clips (`paired_interval`).

    Args:
        values: a score or a difference of every seed and clip; a clip with a NaN is left out.
        sessions: session (video) of every clip.
        level: how often the interval shall cover the mean.

    Raises:
        InputError: values of another shape, or a level outside (0, 1).

    Example:
        Differences of two arms, one seed, eight clips of a session each:

        >>> interval = session_interval(np.array([[0.2, 0.1, 0.0, 0.3, 0.1, 0.2, 0.1, 0.2]]), list("abcdefgh"))
        >>> print(f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]")
        0.15 [0.07, 0.23]
    """
    if values.ndim != 2 or values.shape[1] != len(sessions):
        raise InputError(f"values of shape {values.shape} for {len(sessions)} sessions: give [seed, clip]")
    if not 0 < level < 1:
        raise InputError(f"interval level {level} is not between 0 and 1: give 0.95 for a 95 % interval")
    totals, clips = session_totals(values, sessions)
    if not clips.size:
        return Estimate(np.nan, np.nan, np.nan, clips=0, sessions=0)
    mean, half = float(totals.sum() / clips.sum()), np.nan
    if len(clips) >= LEAST_SESSIONS:
        half = float(cluster_t(totals, clips, level))
    return Estimate(mean, mean - half, mean + half, clips=int(clips.sum()), sessions=len(clips))


def session_totals(
    values: Float[np.ndarray, "seed clip"], sessions: Sequence[str]
) -> tuple[Float[np.ndarray, " session"], Int[np.ndarray, " session"]]:
    """Return the sum of each session's values, averaged over seeds, and the number of its clips.

    A clip with a NaN is left out, and so is a session without a clip.
    """
    counted = ~np.isnan(values).any(axis=0)
    if values.shape[0] == 0 or not counted.any():
        return np.zeros(0), np.zeros(0, dtype=int)
    _, session = np.unique(np.asarray(sessions)[counted], return_inverse=True)
    return np.bincount(session, weights=values[:, counted].mean(axis=0)), np.bincount(session)


def cluster_t(
    totals: Float[np.ndarray, "*sample session"], clips: Int[np.ndarray, "*sample session"], level: float
) -> Float[np.ndarray, "*sample"] | np.float64:
    """Return half the width of a cluster-robust t interval of the mean.

    The variance is the jackknife's, which leaves out one session after the other (CR3; MacKinnon, Nielsen and Webb
    2023). The degrees of freedom are Bell and McCaffrey's (2002) for clips of equal variance: the number of sessions
    less 1 where all are equally long, and fewer where few of them hold most of the clips.

    Args:
        totals: sum of a score over each session's clips.
        clips: number of each session's clips, above 0; two sessions or more.
        level: how often the interval shall cover the mean.
    """
    share = clips / clips.sum(axis=-1, keepdims=True)
    mean = totals.sum(axis=-1, keepdims=True) / clips.sum(axis=-1, keepdims=True)
    without = (totals - mean * clips) / clips.sum(axis=-1, keepdims=True) / (1 - share)
    return student_t.ppf((1 + level) / 2, degrees_of_freedom(share)) * np.sqrt((without**2).sum(axis=-1))


def degrees_of_freedom(share: Float[np.ndarray, "*sample session"]) -> Float[np.ndarray, "*sample"] | np.float64:
    """Return Bell and McCaffrey's degrees of freedom of sessions with these shares of the clips."""
    spread = share**2 / (1 - share)
    return 1 / ((share**2).sum(axis=-1) + spread.sum(axis=-1) ** 2 - (spread**2).sum(axis=-1))


def paired_interval(
    treatment: Float[np.ndarray, "seed clip"], control: Float[np.ndarray, "seed clip"], sessions: Sequence[str]
) -> Estimate:
    """Estimate the mean of treatment − control, paired by seed and clip; see `session_interval`.

    Args:
        treatment: a score of every seed and clip.
        control: that of the same seeds and clips.
        sessions: session (video) of every clip.

    Raises:
        InputError: the two differ in shape.

    Example:
        >>> treatment, control = np.array([[0.5, 0.6, 0.4, 0.7, 0.5]]), np.array([[0.4, 0.4, 0.4, 0.5, 0.3]])
        >>> print(f"{paired_interval(treatment, control, list('abcde')).mean:.2f}")
        0.14
    """
    if treatment.shape != control.shape:
        raise InputError(f"treatment {treatment.shape} and control {control.shape} differ: pair seeds and clips")
    return session_interval(treatment - control, sessions)


def sd_over_seeds(values: Float[np.ndarray, "seed clip"]) -> float:
    """Return the standard deviation (n − 1) of the seeds' means.

    Only clips that all seeds have count. NaN with fewer than two seeds.
    """
    counted = ~np.isnan(values).any(axis=0)
    if values.shape[0] < 2 or not counted.any():
        return float("nan")
    return float(values[:, counted].mean(axis=1).std(ddof=1))


def ratio_values(
    values: Float[np.ndarray, "seed clip"], weights: Float[np.ndarray, "seed clip"]
) -> Float[np.ndarray, "seed clip"]:
    """Return values of which each seed's mean is a ratio of sums.

    The ratio is R = Σ w · x / Σ w, and the values R + w · (x − R) / w̄, its linearisation (Woodruff 1971).
    So intervals, differences and p of ratios are those of means.

    Args:
        values: a score; what has the weight 0 needs none.
        weights: 0 or more; NaN where the clip does not count. A seed without a weight above 0 gets NaN.
    """
    weighed = np.where(weights > 0, weights * values, 0.0)
    total = np.nansum(weights, axis=1, keepdims=True)
    total[total == 0] = np.nan
    ratio = weighed.sum(axis=1, keepdims=True) / total
    clips = (~np.isnan(weights)).sum(axis=1, keepdims=True)
    return ratio + (weighed - weights * ratio) * clips / total
