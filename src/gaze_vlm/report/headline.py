"""What gaze did, in one sentence: the treatment against the control and against the model without a block."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.paired import arm_scores
from gaze_vlm.comparison.runs import Run
from gaze_vlm.comparison.statistics import Estimate, session_interval
from gaze_vlm.comparison.table import Row, points

TREATMENT = "gaze"


class Meaning(NamedTuple):
    """A score in plain words: for an axis, and in a sentence before and behind its number."""

    axis: str
    before: str
    behind: str


MEANING = {
    "noun": Meaning("objects named right, %", "the model names the right object in", "% of clips"),
    "semantic": Meaning("likeness to the target text, %", "the model's answers are", "% like the target in meaning"),
}
"""The headline scores."""

Arms = Mapping[str, dict[int, Run]]
"""Arm → seed → run."""


@dataclass(frozen=True)
class Roles:
    """Which arm is which: trained with gaze, the same with λ = 0, and without anything to pull."""

    treatment: str | None
    control: str
    baseline: str | None

    def of(self, arm: str) -> str:
        """Return treatment, control, baseline or nothing."""
        return next((role for role, name in vars(self).items() if name == arm), "")


def roles_of(arms: Arms, comparison: Comparison) -> Roles:
    """Find the treatment: `gaze`, else the first arm with λ > 0.

    The others are named by the comparison.
    """
    weights = {arm: next(iter(seeds.values())).weight for arm, seeds in arms.items() if arm != comparison.control}
    pulled = [arm for arm, weight in weights.items() if weight is not None and weight > 0]
    treatment = TREATMENT if TREATMENT in pulled else next(iter(pulled), None)
    return Roles(treatment, comparison.control, comparison.baseline if comparison.baseline in arms else None)


@dataclass(frozen=True)
class Headline:
    """The headline score of one task, in points of a hundred.

    It has each arm's mean with its interval, and its row.
    """

    metric: str
    task: str
    means: dict[str, Estimate]
    rows: dict[str, Row]


def headline(arms: Arms, rows: Mapping[str, Mapping[str, Row]], task: str, metric: str, reach_s: float) -> Headline:
    """Estimate the headline score of every arm.

    `rows` are those of the task, arm → metric → row.
    """
    means = {}
    for arm, seeds in arms.items():
        scores = arm_scores(seeds, task, reach_s)
        mean = session_interval(scores.of(metric), scores.sessions)
        if not isnan(mean.mean):
            middle, low, high = (points(metric, value) for value in (mean.mean, mean.low, mean.high))
            means[arm] = Estimate(middle, low, high, mean.clips, mean.sessions)
    return Headline(metric, task, means, {arm: own[metric] for arm, own in rows.items() if metric in own})


def verdict(row: Row | None) -> str:
    """Say what the treatment's difference and its interval mean, in a few words."""
    if row is None or isnan(row.diff):
        return "No comparison yet"
    if isnan(row.diff_low):
        return "Too few sessions to tell"
    if row.diff_low > 0:
        return "Training with gaze helped"
    return "Training with gaze did harm" if row.diff_high < 0 else "No sure effect of gaze"


def signed(mean: float, low: float, high: float) -> str:
    """Write a difference with its interval."""
    interval = "" if isnan(low) else f" [{low:+z.1f}, {high:+z.1f}]"
    return f"{mean:+z.1f}{interval}"
