"""The tables of a comparison's page as rows of written cells, for Markdown and LaTeX alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import nan
from statistics import mean
from typing import NamedTuple

from gaze_vlm.comparison.cells import (
    INTERVAL,
    baseline_cell,
    difference_cell,
    duration_text,
    estimate_cell,
    mean_cell,
    signed,
)
from gaze_vlm.comparison.curve import CurvePoint
from gaze_vlm.comparison.groups import oracles_of
from gaze_vlm.comparison.missing import Missing
from gaze_vlm.comparison.runs import COST, METRICS, Run, by_arm
from gaze_vlm.comparison.table import Row, Table, in_points
from gaze_vlm.metrics.scores import DASH, HEADLINES, SCORES
from gaze_vlm.runs.prediction import TASKS

TITLES = {
    "activity": "Activity: the action at the end of the clip",
    "future": "Future: the action that comes",
    "future/same": "Future, part 1: the same action goes on",
    "future/reach": "Future, part 2: the next action, begun within {reach_s:g} s, so that its reach may show",
    "future/unseen": "Future, part 3: the next action, later than {reach_s:g} s, with nothing of it to see",
}
ORACLE_NAMES = {
    "repeat_current": "oracle: repeats the current action",
    "repeat_previous": "oracle: copies the target of the session's previous clip",
    "majority": "oracle: the commonest answer of this test",
}


SEES_GAZE = "†"
SEES_GAZE_NOTE = f"{SEES_GAZE} The model is given gaze at test too, which the other arms never see."


class Emphasised(str):
    """A cell that is written in italics."""


class CellTable(NamedTuple):
    """Cells of one table as plain text; the first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Section(NamedTuple):
    """One part of a page: runs of one backbone, and the data sets of their test and training."""

    dataset: str
    trained_on: str
    backbone: str

    @property
    def tested(self) -> str:
        """The data sets, as a title has them."""
        if self.dataset == self.trained_on:
            return self.dataset
        return f"Tested on {self.dataset}, trained on {self.trained_on}"


def sections_of(runs: Sequence[Run]) -> list[Section]:
    """List the sections of a page, in the order of the runs' tests, then backbones."""
    tests = list(dict.fromkeys((run.dataset, run.trained_on) for run in runs))
    found = dict.fromkeys(Section(run.dataset, run.trained_on, run.backbone) for run in runs)
    return sorted(found, key=lambda one: tests.index((one.dataset, one.trained_on)))


def score_cells(table: Table, section: Section, task: str, missing: Sequence[Missing] = ()) -> list[CellTable]:
    """Return a table for each group of scores, a row an arm.

    An oracle that has any of them has a row too.
    """
    arms = table.of(section.dataset, section.backbone, task, section.trained_on)
    oracles = {oracle: table.oracles[section.dataset, task, oracle] for oracle in oracles_of(task)}
    tables = []
    for group, headline in HEADLINES.items():
        grouped = (name for name in METRICS if SCORES[name].group == group)
        if metrics := [name for name in grouped if any(name in rows for rows in arms.values())]:
            shown_headline = headline if headline in metrics else metrics[0]
            tables.append(_scores(table, arms, metrics, shown_headline, oracles, missing))
    return tables


def _scores(
    table: Table,
    arms: Mapping[str, Mapping[str, Row]],
    metrics: Sequence[str],
    headline: str,
    oracles: Mapping[str, Mapping[str, float]],
    missing: Sequence[Missing],
) -> CellTable:
    references = table.references(arms, headline)
    against = [f"{SCORES[headline].title} vs {name} {INTERVAL}" for name in references]
    nothing = [DASH] * len(against)
    lacking = Counter(one.run.arm for one in missing)
    rows: list[list[str]] = []
    for arm, scores in arms.items():
        cells = [mean_cell(scores.get(name)) for name in metrics]
        cells.append(difference_cell(scores.get(headline), table.control))
        cells += [baseline_cell(scores.get(headline))] if table.baseline in references else []
        seeds = next(iter(scores.values())).seeds
        short = f" ({seeds} of {seeds + lacking[arm]} seeds)" if lacking[arm] else ""
        rows.append([arm + SEES_GAZE * (arm in table.sees_gaze) + short, *cells])
    rows += [[f"{arm} (missing)", *(DASH for _ in metrics), *nothing] for arm in lacking if arm not in arms]
    for oracle, known in oracles.items():
        if not known.keys().isdisjoint(metrics):
            cells = [f"{known[name]:z.1f}" if name in known else DASH for name in metrics]
            rows.append([Emphasised(ORACLE_NAMES[oracle]), *cells, *nothing])
    return CellTable(["Arm", *(SCORES[name].title for name in metrics), *against], rows)


def overview_cells(table: Table, sections: Sequence[Section], task: str, metric: str) -> CellTable:
    """Return a row a backbone: one score of every arm, differences, and KL."""
    of = {one.backbone: table.of(one.dataset, one.backbone, task, one.trained_on) for one in sections}
    arms = list(dict.fromkeys(arm for rows in of.values() for arm in rows))
    others = [arm for arm in arms if arm != table.control]
    rows = []
    for backbone, found in of.items():
        shown = {arm: found.get(arm, {}) for arm in arms}
        cells = [mean_cell(shown[arm].get(metric)) for arm in arms]
        cells += [difference_cell(shown[arm].get(metric), table.control) for arm in others]
        rows.append([backbone, *cells, *(mean_cell(shown[arm].get("attention_kl")) for arm in arms)])
    against = (f"{arm} vs {table.control} {INTERVAL}" for arm in others)
    return CellTable(["Backbone", *arms, *against, *(f"KL, {arm}" for arm in arms)], rows)


def curve_cells(curve: Sequence[CurvePoint], control: str) -> CellTable:
    """Return a row a task and number of train clips: every arm, and the differences."""
    metric = curve[0].metric
    arms = list(dict.fromkeys(point.arm for point in curve))
    others = [arm for arm in arms if arm != control]
    rows = []
    for task in TASKS:
        for size in sorted({point.train_clips for point in curve}):
            at = {p.arm: p for p in curve if p.task == task and p.train_clips == size}
            seeds = ", ".join(dict.fromkeys(str(point.seeds) for point in at.values()))
            cells = [estimate_cell(metric, at[arm].mean if arm in at else None) for arm in arms]
            cells += [_gain(at.get(arm)) for arm in others]
            rows.append([task, f"{size:,}", seeds, *cells])
    means = (f"{arm} [95 % interval]" for arm in arms)
    return CellTable(
        ["Task", "Train clips", "Seeds", *means, *(f"{arm} vs {control} [95 % interval]" for arm in others)], rows
    )


def _gain(point: CurvePoint | None) -> str:
    if point is None or point.difference is None:
        return DASH
    return signed(point.metric, in_points(point.metric, point.difference)._replace(p=nan))  # p is of the main table


def cost_cells(runs: Sequence[Run]) -> CellTable | None:
    """Return what the trainings of each arm cost; None where no run says."""
    if all(getattr(run, key) is None for run in runs for key in COST):
        return None
    rows = []
    for arm, seeds in by_arm(runs).items():
        seconds = [run.train_seconds for run in seeds.values() if run.train_seconds is not None]
        time = duration_text(mean(seconds)) if seconds else DASH
        shown = [_agreed([getattr(run, key) for run in seeds.values()]) for key in COST[1:]]
        rows.append([arm, time, *shown])
    return CellTable(["Arm", "Train time", "Trainable parameters", "Parameters", "Processes", "Device"], rows)


def _agreed(values: Sequence[int | str | None]) -> str:
    """The values of an arm's runs, mostly one."""
    written = (f"{value:,}" if isinstance(value, int) else value or DASH for value in dict.fromkeys(values))
    return " / ".join(written)
