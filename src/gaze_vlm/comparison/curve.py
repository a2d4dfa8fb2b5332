"""The data-size curve: what the gaze is worth with few and with many train clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gaze_vlm.comparison.paired import Difference, arm_scores, paired_difference
from gaze_vlm.comparison.runs import Run, by_arm, check_same_clips
from gaze_vlm.comparison.statistics import Estimate, session_interval
from gaze_vlm.comparison.table import estimate_in_points, in_points
from gaze_vlm.foreign_text import in_csv, visible
from gaze_vlm.output import write_csv
from gaze_vlm.runs.prediction import TASKS

MARKERS = "osD^v"
COLOURS = ("#5b6770", "#d1495b", "#00798c", "#edae49", "#66a182")
CSV_COLUMNS = (
    "arm",
    "task",
    "metric",
    "train_clips",
    "seeds",
    "mean",
    "low",
    "high",
    "diff",
    "diff_low",
    "diff_high",
    "diff_seeds_low",
    "diff_seeds_high",
)


@dataclass(frozen=True)
class CurvePoint:
    """One arm at one number of train clips, as fractions.

    `difference` is from the control at the same number; None for the control itself and where no pair exists.
    """

    arm: str
    task: str
    metric: str
    train_clips: int
    seeds: int
    mean: Estimate
    difference: Difference | None


def curve_points(runs: Sequence[Run], control: str, metric: str) -> list[CurvePoint]:
    """Return the points of the curve for both tasks, by train clips, then arm.

    Args:
        runs: of one data set and backbone, tested on the same clips; they differ in arm,
            seed and train clips.
        control: arm that the others are compared with.
        metric: one of `runs.METRICS`.

    Raises:
        InputError: the runs were tested on different clips.
    """
    check_same_clips(runs)
    made = []
    for task in TASKS:
        for train_clips in sorted({run.train_clips for run in runs}):
            arms = by_arm(run for run in runs if run.train_clips == train_clips)
            scores = {arm: arm_scores(seeds, task, reach_s=0) for arm, seeds in arms.items()}
            for arm, own in scores.items():
                pair = arm != control and control in scores
                gain = paired_difference(own, scores[control], metric) if pair else None
                mean = session_interval(own.of(metric), own.sessions)
                made.append(CurvePoint(arm, task, metric, train_clips, len(own.seeds), mean, gain))
    return made


def write_curve_csv(curve: Sequence[CurvePoint], file: Path) -> None:
    """Write the points as CSV, in points of a hundred.

    Blank where there is no difference or no interval.
    """
    rows = []
    for p in curve:
        mean = estimate_in_points(p.metric, p.mean)
        difference = [nan] * 5 if p.difference is None else in_points(p.metric, p.difference)[:5]
        numbers = ("" if isnan(value) else f"{value:.4f}" for value in (mean.mean, mean.low, mean.high, *difference))
        rows.append([in_csv(p.arm), p.task, p.metric, p.train_clips, p.seeds, *numbers])
    write_csv(file, CSV_COLUMNS, rows)


def curve_figure(curve: Sequence[CurvePoint], title: str) -> Figure:
    """Draw the metric over the number of train clips, a panel a task.

    Bands are 95 % intervals over sessions.
    """
    # A Figure without pyplot: no backend is chosen for the whole process, and no figure stays open.
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, len(TASKS), sharey=True)
    arms = list(dict.fromkeys(point.arm for point in curve))
    sizes = sorted({point.train_clips for point in curve})
    for panel, task in zip(panels, TASKS, strict=True):
        lines: list[Line2D] = []
        for index, arm in enumerate(arms):
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            own = [p for p in curve if p.arm == arm and p.task == task]
            x = [p.train_clips for p in own]
            means = [estimate_in_points(p.metric, p.mean) for p in own]
            low, mean, high = ([getattr(one, part) for one in means] for part in ("low", "mean", "high"))
            panel.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            lines += panel.plot(x, mean, color=colour, marker=marker, markersize=5, linewidth=2)
        panel.set_title(task.capitalize(), loc="left", fontsize=11)
        panel.set_xscale("log")
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.minorticks_off()
        panel.margins(x=0.1)
        panel.set_xlabel("train clips")
        panel.grid(axis="y", color="#e6e6e6", linewidth=0.8)
        panel.spines[["top", "right"]].set_visible(False)
    if curve:
        panels[0].set_ylabel(f"{curve[0].metric.replace('_', ' ')} (points)")
    # matplotlib leaves out labels that begin with _ unless the lines are given, and reads $ as mathematics.
    legend = panels[-1].legend(lines, [visible(arm) for arm in arms], frameon=False, loc="lower right")
    for text in legend.get_texts():
        text.set_parse_math(False)
    figure.suptitle(visible(title), x=0.01, ha="left", fontsize=12, fontweight="bold", parse_math=False)
    return figure
