"""The table: every arm, task and metric, with its difference from the control arm."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from math import isnan, nan
from pathlib import Path
from types import MappingProxyType

import numpy as np

from gaze_vlm.comparison.groups import ORACLES, SPLIT_TASKS, in_task, oracles_of
from gaze_vlm.comparison.paired import ArmScores, Difference, arm_scores, paired_difference
from gaze_vlm.comparison.permutation import holm
from gaze_vlm.comparison.runs import METRICS, Run, by_arm, check_same_clips
from gaze_vlm.comparison.statistics import Estimate, sd_over_seeds
from gaze_vlm.foreign_text import in_csv
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.metrics.semantic import Encoder
from gaze_vlm.output import write_csv

NONE: Mapping[str, str] = MappingProxyType({})
POINTS = 100
CSV_DECIMALS = 4
NO_DIFFERENCE = Difference(nan, nan, nan, nan, nan, nan, nan)


@dataclass(frozen=True)
class Row:
    """One metric of one arm on one task; its fields are the columns of the CSV.

    Values are points of a hundred, attention_kl nats.

    `dataset`: of the test. `seeds` and `clips`: how many. `sd`: over seeds. `control`: the arm that this is compared
    with, blank for the control itself. `diff`: arm − control on the seeds and clips of both, with its 95 % interval by
    sessions, the one for other seeds too (`diff_seeds_…`), its sd over seeds, the p of no difference, and that p
    corrected over the arms of the task and score. `baseline_…`: the same against the baseline. NaN where no pair
    exists. `published`: a paper's figure and what it was measured on, NaN for none.
    """

    backbone: str
    arm: str
    task: str
    dataset: str
    trained_on: str
    metric: str
    seeds: int
    mean: float
    sd: float
    control: str
    diff: float
    diff_low: float
    diff_high: float
    diff_seeds_low: float
    diff_seeds_high: float
    diff_sd: float
    p: float
    p_holm: float
    baseline_diff: float
    baseline_low: float
    baseline_high: float
    baseline_seeds_low: float
    baseline_seeds_high: float
    baseline_sd: float
    baseline_p: float
    baseline_p_holm: float
    clips: int
    published: float = nan
    published_on: str = ""

    @property
    def difference(self) -> Difference:
        """Arm − control; its p is the corrected one."""
        return Difference(
            self.diff,
            self.diff_low,
            self.diff_high,
            self.diff_seeds_low,
            self.diff_seeds_high,
            self.diff_sd,
            self.p_holm,
        )

    @property
    def baseline_difference(self) -> Difference:
        """Arm − baseline; its p is the corrected one."""
        return Difference(
            self.baseline_diff,
            self.baseline_low,
            self.baseline_high,
            self.baseline_seeds_low,
            self.baseline_seeds_high,
            self.baseline_sd,
            self.baseline_p_holm,
        )


@dataclass(frozen=True)
class Table:
    """Rows in the order of tasks, arms, metrics, with oracles and test sizes.

    `oracles[dataset, task, oracle]` holds metrics; `tested[dataset, task]` counts (clips, sessions). The arms of
    `sees_gaze` are given gaze at test too.
    """

    rows: tuple[Row, ...]
    oracles: dict[tuple[str, str, str], dict[str, float]]
    tested: dict[tuple[str, str], tuple[int, int]]
    control: str
    baseline: str = ""
    sees_gaze: frozenset[str] = frozenset()

    def of(self, dataset: str, backbone: str, task: str, trained_on: str | None = None) -> dict[str, dict[str, Row]]:
        """Return the rows of one part of the table: arm → metric → row.

        `trained_on` is needed where runs of several data sets were tested on this one.
        """
        arms: dict[str, dict[str, Row]] = {}
        for row in self.rows:
            there = (row.dataset, row.backbone, row.task) == (dataset, backbone, task)
            if there and trained_on in (None, row.trained_on):
                arms.setdefault(row.arm, {})[row.metric] = row
        return arms

    def references(self, arms: Mapping[str, Mapping[str, Row]], metric: str) -> list[str]:
        """List the arms that the others are compared with.

        They are the control, and the baseline where it has the score. Without a block it may have no attention to
        score.
        """
        return [self.control, *([self.baseline] if metric in arms.get(self.baseline, {}) else [])]

    def write_csv(self, file: Path) -> None:
        """Write the rows as CSV, blank where a number does not exist."""
        write_csv(file, [field.name for field in fields(Row)], (map(_cell, astuple(row)) for row in self.rows))


def build_table(
    runs: Sequence[Run],
    control: str,
    reach_s: float,
    encoder: Encoder | None = None,
    baseline: str = "",
    controls: Mapping[str, str] = NONE,
) -> Table:
    """Compare the arms of every data set and backbone among the runs.

    Args:
        runs: one an arm and seed; all those of a data set tested on the same clips.
        control: arm that the others are compared with.
        reach_s: see `groups.future_group`.
        encoder: for the oracles' semantic score; None leaves that out.
        baseline: arm that the others are compared with too; empty for none.
        controls: name of an arm → arm that it is compared with instead of `control`.

    Raises:
        InputError: runs of a data set were tested on different clips.
    """
    rows: list[Row] = []
    oracles: dict[tuple[str, str, str], dict[str, float]] = {}
    tested: dict[tuple[str, str], tuple[int, int]] = {}
    for dataset in dict.fromkeys(run.dataset for run in runs):
        of_dataset = [run for run in runs if run.dataset == dataset]
        check_same_clips(of_dataset)
        some = of_dataset[0].predictions
        for task in SPLIT_TASKS:
            chosen = [p for p in some if in_task(p, task, reach_s)]
            tested[dataset, task] = (len(chosen), len({p.session for p in chosen}))
            for oracle in oracles_of(task):
                oracles[dataset, task, oracle] = _shown(ORACLES[oracle](some, task, reach_s, encoder))
        for trained_on, backbone in dict.fromkeys((run.trained_on, run.backbone) for run in of_dataset):
            arms = by_arm(run for run in of_dataset if (run.trained_on, run.backbone) == (trained_on, backbone))
            references = {arm: controls.get(arm, control) for arm in arms if arm != control}
            for task in SPLIT_TASKS:
                rows += _rows(arms, references, baseline, task, reach_s)
    sees_gaze = frozenset(run.arm for run in runs if run.sees_gaze_at_test)
    return Table(tuple(rows), oracles, tested, control, baseline, sees_gaze)


def _rows(
    arms: dict[str, dict[int, Run]], references: Mapping[str, str], baseline: str, task: str, reach_s: float
) -> list[Row]:
    """The rows of a task, arm by arm, with p values corrected over the arms of each score."""
    scores = {arm: arm_scores(seeds, task, reach_s) for arm, seeds in arms.items()}
    found: dict[tuple[str, str], Row] = {}
    for metric in METRICS:
        rows = [
            _row(next(iter(seeds.values())), task, metric, scores, references.get(arm, ""), baseline)
            for arm, seeds in arms.items()
            if not np.isnan(scores[arm].of(metric)).any(axis=0).all()
        ]
        corrected = zip(rows, holm([row.p for row in rows]), holm([row.baseline_p for row in rows]), strict=True)
        found |= {(row.arm, metric): replace(row, p_holm=p, baseline_p_holm=base) for row, p, base in corrected}
    return [found[arm, metric] for arm in arms for metric in METRICS if (arm, metric) in found]


def _row(run: Run, task: str, metric: str, scores: Mapping[str, ArmScores], reference: str, baseline: str) -> Row:
    """The row of one metric of the arm of a run."""
    own = scores[run.arm]
    values = own.of(metric)
    counted = ~np.isnan(values).any(axis=0)
    diff = _against(own, scores.get(reference), metric)
    from_baseline = _against(own, None if run.arm == baseline else scores.get(baseline), metric)
    return Row(
        backbone=run.backbone,
        arm=run.arm,
        task=task,
        dataset=run.dataset,
        trained_on=run.trained_on,
        metric=metric,
        seeds=len(own.seeds),
        mean=points(metric, float(values[:, counted].mean())),
        sd=points(metric, sd_over_seeds(values)),
        control=reference,
        diff=diff.mean,
        diff_low=diff.low,
        diff_high=diff.high,
        diff_seeds_low=diff.seeds_low,
        diff_seeds_high=diff.seeds_high,
        diff_sd=diff.sd,
        p=diff.p,
        p_holm=nan,
        baseline_diff=from_baseline.mean,
        baseline_low=from_baseline.low,
        baseline_high=from_baseline.high,
        baseline_seeds_low=from_baseline.seeds_low,
        baseline_seeds_high=from_baseline.seeds_high,
        baseline_sd=from_baseline.sd,
        baseline_p=from_baseline.p,
        baseline_p_holm=nan,
        clips=int(counted.sum()),
    )


def _against(arm: ArmScores, reference: ArmScores | None, metric: str) -> Difference:
    """The difference; NaN where there is no pair."""
    found = None if reference is None else paired_difference(arm, reference, metric)
    return NO_DIFFERENCE if found is None else in_points(metric, found)


def points(metric: str, value: float) -> float:
    """Return a metric in points of a hundred, but a KL in nats."""
    return POINTS * value if SCORES[metric].in_points else value


def in_points(metric: str, found: Difference) -> Difference:
    """Return a difference in points of a hundred, but of KL in nats."""
    scores = ("mean", "low", "high", "seeds_low", "seeds_high", "sd")
    return found._replace(**{name: points(metric, getattr(found, name)) for name in scores})


def estimate_in_points(metric: str, found: Estimate) -> Estimate:
    """Return a mean and its interval in points of a hundred, but those of KL in nats."""
    mean, low, high = (points(metric, value) for value in (found.mean, found.low, found.high))
    return replace(found, mean=mean, low=low, high=high)


def _shown(scores: dict[str, float]) -> dict[str, float]:
    return {metric: points(metric, value) for metric, value in scores.items()}


def _cell(value: str | int | float) -> str | int | float:
    if isinstance(value, str):
        return in_csv(value)
    if not isinstance(value, float):
        return value
    return "" if isnan(value) else round(value, CSV_DECIMALS)
