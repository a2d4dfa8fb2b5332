"""How often intervals of 95 % cover the mean, and how often a difference that is none has p ≤ 0.05.

    python benchmarks/interval_coverage.py

It is the choice of `comparison/statistics.py` and `comparison/permutation.py`, with few sessions and many. Scores are
simulated whose mean is known: of 20 clips a session, or of 2 to some 80 (log-normal, sigma 0.7), that differ between
sessions, and of arms that differ between seeds. A figure is a share of 10,000 trials in percent; its standard error is
0.2.
"""

from collections.abc import Callable

import numpy as np
from result import cpu_name, write_result
from scipy.stats import t as student_t

from gaze_vlm.comparison.permutation import sign_flip_p
from gaze_vlm.comparison.statistics import cluster_t, crossed_t

TRIALS, SESSIONS, DRAWS, LEVEL = 10_000, (6, 7, 10, 20, 60), 399, 0.95
Simulated = tuple[np.ndarray, float]
Interval = tuple[np.ndarray, np.ndarray]


def logistic(value: np.ndarray) -> np.ndarray:
    """Chance of a right answer."""
    return 1 / (1 + np.exp(-value))


def of_t(freedom: int) -> float:
    """Return the factor of a plain t interval."""
    return float(student_t.ppf((1 + LEVEL) / 2, freedom))


def sizes(random: np.random.Generator, kind: str, sessions: int) -> np.ndarray:
    """Clips of each session, [trial, session]."""
    spread = 0.7 if kind == "unequal" else 0.0
    drawn = 20 * np.exp(spread * random.normal(size=(TRIALS, sessions)) - spread**2 / 2)
    return np.maximum(2, np.round(drawn)).astype(int)


def normal(random: np.random.Generator, clips: np.ndarray) -> Simulated:
    """A score that is normal within sessions and between them."""
    return clips * random.normal(size=clips.shape) + np.sqrt(clips) * 2 * random.normal(size=clips.shape), 0.0


def accuracy(logit: float) -> Callable[[np.random.Generator, np.ndarray], Simulated]:
    """Right or wrong; sessions differ by 1 in the logit."""

    def draw(random: np.random.Generator, clips: np.ndarray) -> Simulated:
        session, many = random.normal(size=clips.shape) + logit, random.normal(size=1_000_000) + logit
        return random.binomial(clips, logistic(session)).astype(float), float(logistic(many).mean())

    return draw


def difference(random: np.random.Generator, clips: np.ndarray) -> Simulated:
    """Accuracy of one arm less that of another, three seeds; the gain differs between sessions."""

    def shares(shape: object) -> tuple[np.ndarray, np.ndarray]:
        session, gain = random.normal(size=shape) - 1, 0.3 + 0.7 * random.normal(size=shape)
        return logistic(session + gain), logistic(session)

    treated, control = shares(clips.shape)
    truth = float(np.subtract(*shares(1_000_000)).mean())
    return (random.binomial(3 * clips, treated) - random.binomial(3 * clips, control)) / 3, truth


def no_difference(random: np.random.Generator, clips: np.ndarray) -> Simulated:
    """Accuracy of one arm less that of another, three seeds; either may be better in a session, none is in the mean."""
    session = random.normal(size=clips.shape) - 1
    arms = [logistic(session + 0.5 * random.normal(size=clips.shape)) for _ in range(2)]
    return np.subtract(*(random.binomial(3 * clips, arm) for arm in arms)) / 3, 0.0


def of_seeds(random: np.random.Generator, clips: np.ndarray, seeds: int, spread: float) -> Simulated:
    """Accuracy of one arm less that of another, by seed: sessions differ in the gain, seeds in both arms' logits."""

    def shares(of_seed: object, of_session: object, everywhere: object) -> list[np.ndarray]:
        session, gain = random.normal(size=of_session) - 1, 0.3 + 0.3 * random.normal(size=of_session)
        arms = session + gain, session
        return [logistic(arm + spread * random.normal(size=of_seed) + np.zeros(everywhere)) for arm in arms]

    trials, sessions = clips.shape
    treated, control = shares((trials, seeds, 1), (trials, 1, sessions), (trials, seeds, sessions))
    truth = float(np.subtract(*shares(1_000_000, 1_000_000, 1_000_000)).mean())
    totals = random.binomial(clips[:, None], treated) - random.binomial(clips[:, None], control)
    return totals.astype(float), truth


SCORES = {
    "a score": normal,
    "accuracy, 30 % right": accuracy(-1.0),
    "accuracy, 10 % right": accuracy(-2.5),
    "paired difference": difference,
}


def chosen(totals: np.ndarray, clips: np.ndarray, random: np.random.Generator) -> Interval:
    """The jackknife's variance and Bell and McCaffrey's degrees of freedom."""
    mean, half = totals.sum(axis=1) / clips.sum(axis=1), cluster_t(totals, clips, LEVEL)
    return mean - half, mean + half


def plain_t(totals: np.ndarray, clips: np.ndarray, random: np.random.Generator) -> Interval:
    """The cluster-robust variance that most packages have (CR1), with sessions − 1 degrees of freedom."""
    mean, sessions = totals.sum(axis=1) / clips.sum(axis=1), clips.shape[1]
    half = of_t(sessions - 1) * _error(totals, clips, mean)
    return mean - half, mean + half


def percentile(totals: np.ndarray, clips: np.ndarray, random: np.random.Generator) -> Interval:
    """Percentiles of means over resampled sessions."""
    drawn = _draws(random, clips.shape[1])
    low, high = np.quantile((totals @ drawn) / (clips @ drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return low, high


def bootstrap_t(totals: np.ndarray, clips: np.ndarray, random: np.random.Generator) -> Interval:
    """Percentiles of t over resampled sessions."""
    mean, sessions, drawn = totals.sum(axis=1) / clips.sum(axis=1), clips.shape[1], _draws(random, clips.shape[1])
    means = (totals @ drawn) / (clips @ drawn)
    squares = (totals**2) @ drawn - 2 * means * ((totals * clips) @ drawn) + means**2 * ((clips**2) @ drawn)
    errors = np.sqrt(np.maximum(squares, 0) * sessions / (sessions - 1)) / (clips @ drawn)
    t = np.divide(means - mean[:, None], errors, out=np.zeros_like(means), where=errors > 1e-12)
    low, high = np.quantile(t, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    error = _error(totals, clips, mean)
    return mean - high * error, mean - low * error


SEEDS, OF_SEEDS = (2, 3, 6), {"seeds alike": 0.0, "seeds differ": 0.15, "seeds differ much": 0.5}
NULLS = {"arms alike": no_difference, "mean 0, gains differ": difference}
METHODS = {"chosen": chosen, "cluster t": plain_t, "bootstrap t": bootstrap_t, "percentile bootstrap": percentile}


def _error(totals: np.ndarray, clips: np.ndarray, mean: np.ndarray) -> np.ndarray:
    sessions = clips.shape[1]
    squares = ((totals - clips * mean[:, None]) ** 2).sum(axis=1)
    return np.sqrt(squares * sessions / (sessions - 1)) / clips.sum(axis=1)


def _draws(random: np.random.Generator, sessions: int) -> np.ndarray:
    """How often each session is drawn, [session, draw]."""
    return random.multinomial(sessions, np.full(sessions, 1 / sessions), size=DRAWS).T.astype(float)


def main() -> None:
    """Measures all methods on all scores, and writes the result."""
    random = np.random.default_rng(0)
    figures: dict[str, float | int | str] = {}
    for name, draw in SCORES.items():
        for kind in ("equal", "unequal"):
            for sessions in SESSIONS:
                clips = sizes(random, kind, sessions)
                totals, truth = draw(random, clips)
                for method, interval in METHODS.items():
                    low, high = interval(totals, clips, random)
                    covered = float(((low <= truth) & (truth <= high)).mean())
                    figures[f"{name}, {kind}, {sessions} sessions: {method}"] = round(100 * covered, 1)
    for name, draw in NULLS.items():
        for kind in ("equal", "unequal"):
            for sessions in SESSIONS:
                clips = sizes(random, kind, sessions)
                totals, truth = draw(random, clips)
                p = np.array([sign_flip_p(one) for one in totals - truth * clips])
                mean, half = (totals - truth * clips).sum(axis=1) / clips.sum(axis=1), cluster_t(totals, clips, LEVEL)
                case = f"false findings, {name}, {kind}, {sessions} sessions"
                figures[f"{case}: p <= 0.05"] = round(100 * float((p <= 0.05).mean()), 1)
                figures[f"{case}: interval without 0"] = round(100 * float((np.abs(mean) > half).mean()), 1)
    for name, spread in OF_SEEDS.items():
        for kind in ("equal", "unequal"):
            for seeds in SEEDS:
                for sessions in (6, 20, 60):
                    clips = sizes(random, kind, sessions)
                    totals, truth = of_seeds(random, clips, seeds, spread)
                    error = np.abs(totals.sum(axis=(1, 2)) / clips.sum(axis=1) / seeds - truth)
                    means = totals.sum(axis=2) / clips.sum(axis=1, keepdims=True)
                    halves = {
                        "both": crossed_t(totals, clips, LEVEL),
                        "sessions alone": cluster_t(totals.mean(axis=1), clips, LEVEL),
                        "seeds alone": of_t(seeds - 1) * means.std(axis=1, ddof=1) / seeds**0.5,
                    }
                    for method, half in halves.items():
                        case = f"other seeds, {name}, {kind}, {seeds} seeds, {sessions} sessions: {method}"
                        figures[case] = round(100 * float((error <= half).mean()), 1)
    conditions = {"trials": TRIALS, "level": LEVEL, "draws": DRAWS, "clips_a_session": 20, "seed": 0}
    write_result(
        "interval_coverage",
        figures,
        "python benchmarks/interval_coverage.py",
        cpu_name(),
        ("numpy", "scipy"),
        conditions,
    )


if __name__ == "__main__":
    main()
