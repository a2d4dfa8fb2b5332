"""Means over seeds and clips, with intervals that respect that clips of one session resemble each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gaze_vlm.errors import InputError


@dataclass(frozen=True)
class Estimate:
    """A mean with its percentile interval; `low` and `high` are NaN with fewer than two sessions."""

    mean: float
    low: float
    high: float
    clips: int
    sessions: int


def session_bootstrap(
    values: Float[np.ndarray, "seed clip"],
    sessions: Sequence[str],
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Mean over seeds and clips, with the percentile interval of a cluster bootstrap over sessions.

    The values are first averaged over seeds; then whole sessions are drawn with replacement, as many as there
    are, and the drawn clips averaged (Davison and Hinkley 1997, hierarchical data). So the interval says how
    far the mean would move with other sessions *for the runs at hand*; how far it moves with other seeds is
    `sd_over_seeds`, since two or three seeds are too few to resample. For a paired comparison give the
    differences of two arms on the same seeds and clips (`paired_bootstrap`).

    Args:
        values: a score or a difference of every seed and clip; a clip with a NaN is left out.
        sessions: session (video) of every clip.
        resamples: bootstrap draws.
        level: probability mass of the interval.
        seed: of the draws; the same seed gives the same interval.
    """
    if values.ndim != 2 or values.shape[1] != len(sessions):
        raise InputError(f"values of shape {values.shape} for {len(sessions)} sessions: give [seed, clip]")
    if not 0 < level < 1:
        raise InputError(f"interval level {level} is not between 0 and 1: give 0.95 for a 95 % interval")
    counted = ~np.isnan(values).any(axis=0)
    if values.shape[0] == 0 or not counted.any():
        return Estimate(np.nan, np.nan, np.nan, clips=0, sessions=0)
    value = values[:, counted].mean(axis=0)
    names, session = np.unique(np.asarray(sessions)[counted], return_inverse=True)
    clips = np.bincount(session).astype(float)
    total = np.bincount(session, weights=value)
    low = high = np.nan
    if len(names) > 1:
        # How often each session is drawn is all that a resample is, so no clip has to be touched again.
        share = np.full(len(names), 1 / len(names))
        draws = np.random.default_rng(seed).multinomial(len(names), share, size=resamples)
        low, high = np.quantile((draws @ total) / (draws @ clips), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value.mean()), float(low), float(high), clips=len(value), sessions=len(names))


def paired_bootstrap(
    treatment: Float[np.ndarray, "seed clip"],
    control: Float[np.ndarray, "seed clip"],
    sessions: Sequence[str],
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """Mean of treatment − control over paired seeds and clips, with the interval of `session_bootstrap`."""
    if treatment.shape != control.shape:
        raise InputError(f"treatment {treatment.shape} and control {control.shape} differ: pair seeds and clips")
    return session_bootstrap(treatment - control, sessions, resamples=resamples, seed=seed)


def sd_over_seeds(values: Float[np.ndarray, "seed clip"]) -> float:
    """Standard deviation (n − 1) of the seeds' means over counted clips; NaN with fewer than two seeds."""
    counted = ~np.isnan(values).any(axis=0)
    if values.shape[0] < 2 or not counted.any():
        return float("nan")
    return float(values[:, counted].mean(axis=1).std(ddof=1))
