"""What gaze did, in one sentence: the treatment against the control and against the model without a block."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.paired import Difference, arm_scores
from gaze_vlm.comparison.runs import Run
from gaze_vlm.comparison.statistics import Estimate, session_interval
from gaze_vlm.comparison.table import Row, estimate_in_points
from gaze_vlm.metrics.scores import DASH

TREATMENT = "gaze"
ASKED = {"activity": "The action at the end of the clip", "future": "The action that comes next"}
"""What a task asks for."""


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
    """Which arm is which: trained with gaze, the same with λ = 0, and without anything to pull.

    `is_gaze` says that the first two are just that. Else they are other arms, and the page calls them by their names.
    """

    treatment: str | None
    control: str
    baseline: str | None
    is_gaze: bool = True

    def of(self, arm: str) -> str:
        """Return treatment, control, baseline or nothing."""
        return next((role for role in ("treatment", "control", "baseline") if getattr(self, role) == arm), "")

    @property
    def treated(self) -> str:
        """The treatment at the beginning of a sentence on its training."""
        return "Training with gaze" if self.is_gaze else f"The arm {self.treatment}"

    @property
    def behind(self) -> str:
        """The same, before what the trained model does."""
        return "After training with gaze" if self.is_gaze else f"In the arm {self.treatment}"

    @property
    def untreated(self) -> str:
        """The control."""
        return "The same model without gaze" if self.is_gaze else f"Its control, {self.control}"

    @property
    def legend(self) -> str:
        """What the marks of the chart mean."""
        if self.is_gaze:
            return "Diamond: trained with gaze. Square, dashed line: the same without gaze, λ = 0."
        return f"Diamond: {self.treatment}. Square, dashed line: its control, {self.control}."

    @property
    def looks(self) -> dict[str, str]:
        """Control and treatment, and what a picture of their attention shows."""
        if self.is_gaze:
            texts = "Where the model without gaze looks", "Where it looks after training with gaze"
        else:
            texts = f"Where {self.control} looks", f"Where {self.treatment} looks"
        return dict(zip((self.control, self.treatment or ""), texts, strict=True))


def roles_of(arms: Arms, comparison: Comparison) -> Roles:
    """Find the treatment: `gaze`, or in a comparison without it the first arm with λ > 0.

    Its control and the baseline are named by the comparison.
    """
    weights = {arm: next(iter(seeds.values())).weight or 0.0 for arm, seeds in arms.items()}
    pulled = [arm for arm, weight in weights.items() if weight > 0 and arm != comparison.control]
    if TREATMENT in comparison.arms and TREATMENT not in arms:
        treatment = None  # its runs failed: no other arm stands for it
    else:
        treatment = TREATMENT if TREATMENT in pulled else next(iter(pulled), None)
    control = comparison.controls.get(treatment or "", comparison.control)
    is_gaze = treatment == TREATMENT and weights.get(control, 0.0) == 0
    return Roles(treatment, control, comparison.baseline if comparison.baseline in arms else None, is_gaze)


@dataclass(frozen=True)
class Headline:
    """The headline score of one task, in points of a hundred.

    It has each arm's mean with its interval, and its row.
    """

    metric: str
    task: str
    means: dict[str, Estimate]
    rows: dict[str, Row]

    @property
    def asked(self) -> str:
        """What the task asks for."""
        return ASKED[self.task]

    def compared(self, roles: Roles) -> tuple[Row, Row] | None:
        """Return the rows of treatment and control; None without a difference, as of arms that share no seed."""
        treated, untreated = (self.rows.get(arm or "") for arm in (roles.treatment, roles.control))
        return None if treated is None or untreated is None or isnan(treated.diff) else (treated, untreated)


def headline(arms: Arms, rows: Mapping[str, Mapping[str, Row]], task: str, metric: str, reach_s: float) -> Headline:
    """Estimate the headline score of every arm.

    `rows` are those of the task, arm → metric → row.
    """
    means = {}
    for arm, seeds in arms.items():
        scores = arm_scores(seeds, task, reach_s)
        mean = session_interval(scores.of(metric), scores.sessions)
        if not isnan(mean.mean):
            means[arm] = estimate_in_points(metric, mean)
    return Headline(metric, task, means, {arm: own[metric] for arm, own in rows.items() if metric in own})


def verdict(one: Headline | None, roles: Roles) -> str:
    """Say what the treatment's difference and its interval mean, in a few words."""
    compared = None if one is None else one.compared(roles)
    if compared is None:
        return "No comparison yet"
    found = compared[0].difference
    if isnan(found.low):
        return "Too few sessions to tell"
    if not (found.low > 0 or found.high < 0):
        return f"No sure effect of {'gaze' if roles.is_gaze else f'the arm {roles.treatment}'}"
    effect = f"{roles.treated} {'helped' if found.low > 0 else 'did harm'}"
    return effect if found.is_sure else f"{effect} with these seeds; others may differ"


def in_sentence(difference: Difference) -> str:
    """Write a headline difference with the interval that it goes by, as far as they exist."""
    if isnan(difference.mean):
        return DASH
    low, high = difference.interval
    return f"{difference.mean:+z.1f}" + ("" if isnan(low) else f" [{low:+z.1f}, {high:+z.1f}]")
