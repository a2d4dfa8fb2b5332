"""Means over seeds and clips, with intervals that respect that clips of one session resemble each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student_t

from gaze_vlm.errors import InputError

LEAST_SESSIONS = 6
"""With fewer sessions there is no interval: none covers as often as it says (docs/scores.md)."""
LEAST_SEEDS = 3
"""With fewer seeds none says what others would give: as for sessions."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, which is NaN with too few sessions or seeds."""

    mean: float
    low: float
    high: float
    clips: int
    sessions: int


def session_interval(values: Float[np.ndarray, "seed clip"], sessions: Sequence[str], level: float = 0.95) -> Estimate:
    """Estimate the mean over seeds and clips, with an interval for other sessions.

    The values are first averaged over seeds; then `cluster_t` takes the sessions. So the interval says how far the mean
    would move with other sessions *for the runs at hand*; `seeds_interval` is for other seeds too. For a paired
    comparison give the differences of two arms on the same seeds and clips (`paired_interval`).

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
    totals, clips = _checked_totals(values, sessions, level)
    half = float(cluster_t(totals.mean(axis=0), clips, level)) if len(clips) >= LEAST_SESSIONS else np.nan
    return _estimate(totals, clips, half)


def seeds_interval(values: Float[np.ndarray, "seed clip"], sessions: Sequence[str], level: float = 0.95) -> Estimate:
    """Estimate the mean over seeds and clips, with an interval for other seeds *and* other sessions (`crossed_t`).

    Arguments and errors are those of `session_interval`. The interval is NaN with fewer than `LEAST_SEEDS` seeds too.

    Example:
        The mean of three seeds, of which one gains nothing:

        >>> values = np.array([[0.2, 0.1, 0.0, 0.3, 0.1, 0.2], [0.3, 0.1, 0.1, 0.3, 0.2, 0.2], [0.0] * 6])
        >>> interval = seeds_interval(values, list("abcdef"))
        >>> print(f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]")
        0.12 [-0.10, 0.33]
    """
    totals, clips = _checked_totals(values, sessions, level)
    enough = len(clips) >= LEAST_SESSIONS and len(totals) >= LEAST_SEEDS
    return _estimate(totals, clips, float(crossed_t(totals, clips, level)) if enough else np.nan)


def session_totals(
    values: Float[np.ndarray, "seed clip"], sessions: Sequence[str]
) -> tuple[Float[np.ndarray, "seed session"], Int[np.ndarray, " session"]]:
    """Return the sum of each session's values of every seed, and the number of its clips.

    A clip with a NaN is left out, and so is a session without a clip.
    """
    counted = ~np.isnan(values).any(axis=0)
    if values.shape[0] == 0 or not counted.any():
        return np.zeros((values.shape[0], 0)), np.zeros(0, dtype=int)
    _, session = np.unique(np.asarray(sessions)[counted], return_inverse=True)
    return np.stack([np.bincount(session, weights=seed) for seed in values[:, counted]]), np.bincount(session)


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
    freedom = degrees_of_freedom(clips / clips.sum(axis=-1, keepdims=True))
    return student_t.ppf((1 + level) / 2, freedom) * np.sqrt(jackknife_variance(totals, clips))


def crossed_t(
    totals: Float[np.ndarray, "*sample seed session"], clips: Int[np.ndarray, "*sample session"], level: float
) -> Float[np.ndarray, "*sample"] | np.float64:
    """Return half the width of a t interval of the mean, for other seeds and other sessions.

    The variance is the jackknife's over sessions and that over seeds together, both of which hold the noise of single
    answers: it errs on the wide side (MacKinnon, Nielsen and Webb 2024, of two-way clusters). The degrees of freedom
    are those of `satterthwaite`. Where one session holds most clips, these can be more than the sessions' own: it is
    never narrower than `cluster_t`.

    Args:
        totals: sum of a score over each session's clips, of every seed; two seeds or more.
        clips: number of each session's clips, above 0; two sessions or more.
        level: how often the interval shall cover the mean.
    """
    number = totals.shape[-2]
    of_sessions = jackknife_variance(totals.mean(axis=-2), clips)
    of_seeds = (totals.sum(axis=-1) / clips.sum(axis=-1, keepdims=True)).var(axis=-1, ddof=1) / number
    freedom = degrees_of_freedom(clips / clips.sum(axis=-1, keepdims=True))
    both = satterthwaite([of_sessions, of_seeds], [freedom, number - 1.0])
    half = student_t.ppf((1 + level) / 2, both) * np.sqrt(of_sessions + of_seeds)
    return np.maximum(half, cluster_t(totals.mean(axis=-2), clips, level))


def satterthwaite(
    variances: Sequence[Float[np.ndarray, "*sample"] | float], freedoms: Sequence[Float[np.ndarray, "*sample"] | float]
) -> Float[np.ndarray, "*sample"]:
    """Return the degrees of freedom of a sum of independent variances, each with its own (Satterthwaite 1946).

    They are 1 where all variances are 0.
    """
    total = np.asarray(sum(variances))
    spread = sum(variance**2 / freedom for variance, freedom in zip(variances, freedoms, strict=True))
    return np.divide(total**2, spread, out=np.ones_like(total), where=total > 0)


def jackknife_variance(
    totals: Float[np.ndarray, "*sample session"], clips: Int[np.ndarray, "*sample session"]
) -> Float[np.ndarray, "*sample"] | np.float64:
    """Return the variance of the mean, which leaves out one session after the other."""
    count = clips.sum(axis=-1, keepdims=True)
    mean = totals.sum(axis=-1, keepdims=True) / count
    without = (totals - mean * clips) / count / (1 - clips / count)
    return (without**2).sum(axis=-1)


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


def _checked_totals(
    values: Float[np.ndarray, "seed clip"], sessions: Sequence[str], level: float
) -> tuple[Float[np.ndarray, "seed session"], Int[np.ndarray, " session"]]:
    if values.ndim != 2 or values.shape[1] != len(sessions):
        raise InputError(f"values of shape {values.shape} for {len(sessions)} sessions: give [seed, clip]")
    if not 0 < level < 1:
        raise InputError(f"interval level {level} is not between 0 and 1: give 0.95 for a 95 % interval")
    return session_totals(values, sessions)


def _estimate(totals: Float[np.ndarray, "seed session"], clips: Int[np.ndarray, " session"], half: float) -> Estimate:
    mean = float(totals.mean(axis=0).sum() / clips.sum()) if clips.size else np.nan
    return Estimate(mean, mean - half, mean + half, clips=int(clips.sum()), sessions=len(clips))


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
