"""Whether a paired difference may be chance: sign flips of whole sessions, and Holm's correction for several arms."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from gaze_vlm.comparison.statistics import LEAST_SESSIONS, session_totals

DRAWS = 9999
"""Random flips, where there are too many sessions to try all."""
SEED = 0
ROUNDING = 1e-9
"""Of the sum of magnitudes: flips whose sums are this close are equal."""


def paired_p(
    treatment: Float[np.ndarray, "seed clip"], control: Float[np.ndarray, "seed clip"], sessions: Sequence[str]
) -> float:
    """Return the two-sided p of no difference between two arms, paired by seed and clip.

    Seeds are averaged first, as for the interval; then `sign_flip_p` takes the sessions' sums of differences. NaN with
    fewer than `LEAST_SESSIONS` sessions, of which no flips give a p that says anything.
    """
    totals, clips = session_totals(treatment - control, sessions)
    return sign_flip_p(totals.mean(axis=0)) if len(clips) >= LEAST_SESSIONS else float("nan")


def sign_flip_p(totals: Float[np.ndarray, " session"]) -> float:
    """Return the two-sided p of totals whose sign would be as likely the other one.

    It is the share of sign flips whose sum is at least as far from 0 as the sum of the totals. Up to 13 sessions all
    flips are tried, which is exact. With more, `DRAWS` random ones are, from a fixed seed; the totals themselves count
    as one more (Phipson and Smyth 2010), so that p is never 0.
    """
    signs, tried_all = _signs(len(totals))
    least = abs(totals.sum()) - ROUNDING * np.abs(totals).sum()
    extreme = int((np.abs(signs @ totals) >= least).sum())
    return extreme / len(signs) if tried_all else (extreme + 1) / (len(signs) + 1)


def holm(p: Sequence[float]) -> list[float]:
    """Return p values corrected for their number, by Holm (1979).

    NaN stays and does not count. They control the chance of one or more false findings among them, whatever their
    dependence.
    """
    values = np.asarray(p, dtype=float)
    order = [index for index in np.argsort(values) if not np.isnan(values[index])]
    corrected, largest = values.copy(), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * values[index]))
        corrected[index] = largest
    return corrected.tolist()


@lru_cache(maxsize=8)
def _signs(sessions: int) -> tuple[Float[np.ndarray, "flip session"], bool]:
    """Signs of each flip, and whether they are all that there are."""
    if 2**sessions <= DRAWS + 1:
        every = np.arange(2**sessions)[:, None] >> np.arange(sessions) & 1
        return 1.0 - 2.0 * every, True
    return np.random.default_rng(SEED).choice((-1.0, 1.0), size=(DRAWS, sessions)), False
