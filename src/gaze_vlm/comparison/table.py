"""The table: every arm, task and metric, with its difference from the control arm."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from math import isnan, nan
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gaze_vlm.comparison.groups import ORACLES, SPLIT_TASKS, in_task, oracles_of
from gaze_vlm.comparison.runs import METRICS, Run, by_arm, check_same_clips
from gaze_vlm.comparison.statistics import Estimate, paired_interval, sd_over_seeds
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.metrics.semantic import Encoder
from gaze_vlm.runs.prediction import Prediction

POINTS = 100
CSV_DECIMALS = 4


@dataclass(frozen=True)
class Row:
    """One metric of one arm on one task; its fields are the columns of the CSV.

    Values are points of a hundred, attention_kl nats.

    `dataset`: of the test. `seeds` and `clips`: how many. `sd`: over seeds. `diff`: arm − control on the seeds and
    clips of both, with its 95 % interval by sessions; NaN for the control itself and where no pair exists.
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
    diff: float
    diff_low: float
    diff_high: float
    clips: int


@dataclass(frozen=True)
class Table:
    """Rows in the order of tasks, arms, metrics, with oracles and test sizes.

    `oracles[dataset, task, oracle]` holds metrics; `tested[dataset, task]` counts (clips, sessions).
    """

    rows: tuple[Row, ...]
    oracles: dict[tuple[str, str, str], dict[str, float]]
    tested: dict[tuple[str, str], tuple[int, int]]
    control: str

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

    def write_csv(self, file: Path) -> None:
        """Write the rows as CSV, blank where a number does not exist."""
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, [field.name for field in fields(Row)], lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: _cell(value) for name, value in asdict(row).items()} for row in self.rows)


def build_table(runs: Sequence[Run], control: str, reach_s: float, encoder: Encoder | None = None) -> Table:
    """Compare the arms of every data set and backbone among the runs.

    Args:
        runs: one an arm and seed; all those of a data set tested on the same clips.
        control: arm that the others are compared with.
        reach_s: see `groups.future_group`.
        encoder: for the oracles' semantic score; None leaves that out.

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
            for task in SPLIT_TASKS:
                for arm, seeds in arms.items():
                    against = {} if arm == control else arms.get(control, {})
                    for metric in METRICS:
                        rows += _row(seeds, against, task, metric, reach_s)
    return Table(tuple(rows), oracles, tested, control)


def score_matrix(
    runs: Iterable[Run], task: str, metric: str, reach_s: float
) -> tuple[Float[np.ndarray, "run clip"], list[str]]:
    """Return one metric of runs tested on the same clips, and the clips' sessions.

    NaN where a clip has none.
    """
    of_run = [_answers(run, task, reach_s) for run in runs]
    clips = sorted(of_run[0]) if of_run else []
    values = [[answers[clip].scores.get(metric, nan) for clip in clips] for answers in of_run]
    matrix = np.array(values, dtype=float).reshape(len(of_run), len(clips))
    return matrix, [of_run[0][clip].session for clip in clips]


def difference(arm: dict[int, Run], control: dict[int, Run], task: str, metric: str, reach_s: float) -> Estimate | None:
    """Estimate arm − control on the seeds of both; None where they share none."""
    shared = [seed for seed in arm if seed in control]
    if not shared:
        return None
    treated, sessions = score_matrix((arm[seed] for seed in shared), task, metric, reach_s)
    untreated, _ = score_matrix((control[seed] for seed in shared), task, metric, reach_s)
    return paired_interval(treated, untreated, sessions)


def points(metric: str, value: float) -> float:
    """Return a metric in points of a hundred, but a KL in nats."""
    return POINTS * value if SCORES[metric].in_points else value


def _row(arm: dict[int, Run], control: dict[int, Run], task: str, metric: str, reach_s: float) -> list[Row]:
    """The row of one metric, or none where no clip has it."""
    values, _ = score_matrix(arm.values(), task, metric, reach_s)
    counted = ~np.isnan(values).any(axis=0)
    if not counted.any():
        return []
    gain = difference(arm, control, task, metric, reach_s)
    diff, low, high = (nan, nan, nan) if gain is None else (gain.mean, gain.low, gain.high)
    run = next(iter(arm.values()))
    return [
        Row(
            backbone=run.backbone,
            arm=run.arm,
            task=task,
            dataset=run.dataset,
            trained_on=run.trained_on,
            metric=metric,
            seeds=len(arm),
            mean=points(metric, float(values[:, counted].mean())),
            sd=points(metric, sd_over_seeds(values)),
            diff=points(metric, diff),
            diff_low=points(metric, low),
            diff_high=points(metric, high),
            clips=int(counted.sum()),
        )
    ]


def _answers(run: Run, task: str, reach_s: float) -> dict[str, Prediction]:
    return {p.clip_id: p for p in run.predictions if in_task(p, task, reach_s)}


def _shown(scores: dict[str, float]) -> dict[str, float]:
    return {metric: points(metric, value) for metric, value in scores.items()}


def _cell(value: str | int | float) -> str | int | float:
    if not isinstance(value, float):
        return value
    return "" if isnan(value) else round(value, CSV_DECIMALS)
