"""`gaze-vlm power`: how many sessions show a difference, and what difference a test can show, from a pilot's runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student_t

from gaze_vlm.comparison.paired import arm_scores
from gaze_vlm.comparison.runs import by_arm, check_same_clips, read_run
from gaze_vlm.comparison.statistics import (
    LEAST_SEEDS,
    LEAST_SESSIONS,
    degrees_of_freedom,
    satterthwaite,
    session_totals,
)
from gaze_vlm.errors import InputError
from gaze_vlm.foreign_text import in_markdown
from gaze_vlm.metrics.scores import HEADLINES, SCORES
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.preparation.store import read_clips
from gaze_vlm.ranges import above_zero, at_least
from gaze_vlm.runs.prediction import TASKS

MOST_SESSIONS = 100_000
NO_VARIANCE = 1e-12
"""What rounding leaves of differences that are all alike, and more."""


@dataclass(frozen=True)
class Variation:
    """Variances of a paired difference: between sessions, within one, of seeds.

    The first two are averaged over seeds; within a session they are of its clips.
    """

    sessions: float
    clips: float
    seeds: float


def power(
    pilot: list[Path],
    control: str = "control",
    points: list[float] | None = None,
    store: Path | None = None,
    seeds: int = 3,
    alpha: float = 0.05,
    wanted: float = 0.8,
) -> None:
    """Print how many test sessions and clips show a difference, and what difference a test can show.

    Shown is what the widest interval that `compare` writes leaves 0 out of: for other sessions, and from three seeds on
    for other seeds too. What differs between sessions, clips and seeds is taken from the pilot's runs.

    Args:
        pilot: directories of finished runs of two arms, one of them the control, on the same test clips.
        control: name of the control's arm.
        points: differences to show, in points of a hundred; by default 1, 2, 3, 5 and 10.
        store: whose test clips shall show a difference; by default those of the pilot.
        seeds: number of seeds of the comparison to come.
        alpha: accepted share of false findings; of several arms divide it by their number.
        wanted: accepted chance to show a difference that is there.

    Raises:
        InputError: the runs are not of two arms with a seed and clips in common, or of too few sessions.
    """
    points = points or [1, 2, 3, 5, 10]
    at_least(1, seeds=seeds)
    above_zero(**{f"points {one}": one for one in points}, alpha=alpha, wanted=wanted)
    if alpha >= 1 or wanted >= 1:
        raise InputError(f"alpha {alpha} and wanted {wanted} are shares: give less than 1, such as 0.05 and 0.8")
    runs = [read_run(path) for path in pilot]
    check_same_clips(runs)
    arms = by_arm(runs)
    if len(arms) != 2 or control not in arms:
        raise InputError(f"--pilot has runs of {', '.join(arms)}: give those of {control!r} and of one other arm")
    (treatment,) = (arm for arm in arms if arm != control)
    shared = [seed for seed in arms[control] if seed in arms[treatment]]
    if not shared:
        raise InputError(f"--pilot: {control} and {treatment} have no seed in common: add runs of the same seed")
    clips_of = None if store is None else _test_sessions(store)
    compared = in_markdown(f"{treatment} against {control}")
    print(f"# Power: {compared}, from {len(shared)} of each, for {seeds} seeds\n")
    needed = (f"{one:g} points: sessions (clips)" for one in points)
    header = ["Task", "Score", "sd of sessions / clips / seeds", f"shown with {100 * wanted:g} %", *needed]
    print(f"| {' | '.join(header)} |\n| {' | '.join(['---', '---', *['---:'] * (len(header) - 2)])} |")
    planned = None
    for task in TASKS:
        of_arms = [arm_scores({seed: arms[arm][seed] for seed in shared}, task, 0.0) for arm in (treatment, control)]
        for metric in HEADLINES.values():
            difference = of_arms[0].of(metric) - of_arms[1].of(metric)
            _, clips = session_totals(difference, of_arms[0].sessions)
            if not SCORES[metric].in_points or not clips.size:
                continue
            if len(clips) < LEAST_SESSIONS:
                raise InputError(f"--pilot was tested on {len(clips)} sessions: test it on {LEAST_SESSIONS} or more")
            found = variation(difference, of_arms[0].sessions)
            planned = clips if clips_of is None else clips_of
            least = 100 * detectable(found, planned, seeds, alpha, wanted)
            cells = [_needed(found, planned, seeds, alpha, wanted, one / 100) for one in points]
            spread = " / ".join(f"{100 * one**0.5:.1f}" for one in (found.sessions, found.clips, found.seeds))
            print(f"| {' | '.join([task, SCORES[metric].title, spread, f'{least:.1f} points', *cells])} |")
    if planned is None:
        scores = " and ".join(SCORES[metric].title.lower() for metric in HEADLINES.values() if SCORES[metric].in_points)
        raise InputError(f"--pilot: no clip of both arms has a score out of {scores}: test the runs again")
    tested, of = (planned, store or "the pilot")
    print(f"\nShown: on the {len(tested)} test sessions ({int(tested.sum()):,} clips) of {of}. Points of a hundred.")
    if len(shared) < 2:
        print("The pilot has one seed, so the variance between seeds is not known and counts as 0: the truth is worse.")


def variation(difference: Float[np.ndarray, "seed clip"], sessions: Sequence[str]) -> Variation:
    """Estimate the variances of a paired difference, by analysis of variance with unequal sessions.

    That between seeds is of the seeds' means, 0 of one seed.
    """
    counted = ~np.isnan(difference).any(axis=0)
    totals, clips = session_totals(difference, sessions)
    values, count = difference[:, counted].mean(axis=0), clips.sum()
    means = totals.mean(axis=0) / clips
    between = (clips * (means - values.mean()) ** 2).sum() / (len(clips) - 1)
    inside = max(0.0, float((values**2).sum() - (clips * means**2).sum())) / max(1, count - len(clips))
    typical = (count - (clips**2).sum() / count) / (len(clips) - 1)
    of_seeds = difference[:, counted].mean(axis=1)
    return Variation(
        sessions=max(0.0, float((between - inside) / typical)),
        clips=float(inside),
        seeds=float(of_seeds.var(ddof=1)) if len(of_seeds) > 1 else 0.0,
    )


def power_of(
    found: Variation,
    clips: Int[np.ndarray, " session"],
    seeds: int,
    alpha: float,
    difference: float,
    times: float = 1.0,
) -> float:
    """Return the chance that the interval leaves out 0.

    It is `statistics.crossed_t`, or `cluster_t` of fewer than `LEAST_SEEDS` seeds: with k sessions their error is
    √(k / (k − 1)) of the plain one. The variance between seeds counts in both, which is cautious for the second.

    Args:
        found: of the difference.
        clips: number of clips of each session.
        seeds: number of seeds.
        alpha: two-sided level.
        difference: true difference, as a fraction.
        times: how many times as many sessions like these.
    """
    share = clips / clips.sum()
    sessions = len(clips) * times
    of_sessions = float((share**2 * (found.sessions + found.clips / clips)).sum()) / times
    of_seeds = found.seeds / seeds
    variance = of_sessions + of_seeds
    if variance < NO_VARIANCE:
        return float(difference != 0)
    freedom = (float(degrees_of_freedom(share)) + 1) * times - 1
    if seeds >= LEAST_SEEDS:
        freedom = float(satterthwaite([of_sessions, of_seeds], [freedom, seeds - 1.0]))
    limit = student_t.ppf(1 - alpha / 2, freedom) * (sessions / (sessions - 1)) ** 0.5
    shift = difference / variance**0.5
    # Scipy has NaN for what is next to 0 or 1.
    below = np.nan_to_num(nct.cdf(-limit, freedom, shift))
    above = np.nan_to_num(nct.sf(limit, freedom, shift), nan=float(shift > limit))
    return float(above + below)


def detectable(found: Variation, clips: Int[np.ndarray, " session"], seeds: int, alpha: float, wanted: float) -> float:
    """Return the least difference, as a fraction, that these sessions show with the wanted power."""
    largest = 1e-4
    while power_of(found, clips, seeds, alpha, largest) < wanted:
        largest *= 2
    return float(brentq(lambda one: power_of(found, clips, seeds, alpha, one) - wanted, 0.0, largest, xtol=1e-6))


def sessions_needed(
    found: Variation, clips: Int[np.ndarray, " session"], seeds: int, alpha: float, wanted: float, difference: float
) -> int | None:
    """Return the least number of sessions that show a difference; None where none up to `MOST_SESSIONS` does.

    They are sessions like these, and show it with the wanted power. Of many more a few seeds may show it less often
    again: then all that varies are the seeds, and t is theirs.
    """

    def shows(sessions: int) -> bool:
        return power_of(found, clips, seeds, alpha, difference, sessions / len(clips)) >= wanted

    low, high = LEAST_SESSIONS - 1, LEAST_SESSIONS
    while not shows(high):
        if high == MOST_SESSIONS:
            return None
        low, high = high, min(MOST_SESSIONS, high + 1 + high // 10)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high


def _needed(
    found: Variation, clips: Int[np.ndarray, " session"], seeds: int, alpha: float, wanted: float, difference: float
) -> str:
    sessions = sessions_needed(found, clips, seeds, alpha, wanted, difference)
    return "more seeds" if sessions is None else f"{sessions:,} ({round(sessions * clips.mean()):,})"


def _test_sessions(store: Path) -> Int[np.ndarray, " session"]:
    """Numbers of test clips of each session of a store."""
    sessions = [clip.session for clip in read_clips(StoreFiles(store).clips) if clip.split == "test"]
    counts = np.unique(sessions, return_counts=True)[1]
    if len(counts) < LEAST_SESSIONS:
        raise InputError(f"{store} has {len(counts)} test sessions: there is an interval with {LEAST_SESSIONS} or more")
    return counts
