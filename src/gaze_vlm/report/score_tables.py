"""The tables of a page: for each group of scores a row an arm, with its differences, and what each cell sorts by."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from gaze_vlm.comparison.cell_tables import ORACLE_NAMES, SEES_GAZE, SEES_GAZE_NOTE, Section
from gaze_vlm.comparison.cells import baseline_cell, difference_cell, mean_cell
from gaze_vlm.comparison.groups import oracles_of
from gaze_vlm.comparison.runs import METRICS
from gaze_vlm.comparison.table import Row, Table
from gaze_vlm.metrics.scores import DASH, HEADLINES, SCORES


@dataclass(frozen=True)
class Cell:
    """What a cell shows, what it sorts by, and whether its interval leaves out 0."""

    text: str = DASH
    value: float | None = None
    sure: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a table; its name may have a mark."""

    name: str
    cells: tuple[Cell, ...]
    mark: str = ""


@dataclass(frozen=True)
class GroupTable:
    """The scores of one group: means, and differences from the control.

    Beside the means are the headline score's differences.
    """

    group: str
    columns: tuple[str, ...]
    against: tuple[str, ...]
    means: tuple[Line, ...]
    oracles: tuple[Line, ...]
    differences: tuple[Line, ...]
    note: str


def group_tables(table: Table, section: Section, task: str) -> list[GroupTable]:
    """Return the tables of one task, one for each group of scores that some arm has."""
    arms = table.of(section.dataset, section.backbone, task, section.trained_on)
    made = []
    for group, headline in HEADLINES.items():
        metrics = [m for m in METRICS if SCORES[m].group == group and any(m in rows for rows in arms.values())]
        if not metrics:
            continue
        first = headline if headline in metrics else metrics[0]
        references = table.references(arms, first)
        means, differences = [], []
        for arm, rows in arms.items():
            against = [control_difference(rows.get(first), table.control)]
            against += [baseline_difference(rows.get(first))] if table.baseline in references else []
            mark = SEES_GAZE if arm in table.sees_gaze else ""
            means.append(Line(arm, (*(mean(rows.get(m)) for m in metrics), *against), mark))
            if arm != table.control:
                differences.append(
                    Line(arm, tuple(control_difference(rows.get(m), table.control) for m in metrics), mark)
                )
        made.append(
            GroupTable(
                group,
                tuple(SCORES[metric].title for metric in metrics),
                tuple(f"{SCORES[first].title} vs {name}" for name in references),
                tuple(means),
                tuple(_oracles(table, section.dataset, task, metrics, len(references))),
                tuple(differences),
                SEES_GAZE_NOTE if not table.sees_gaze.isdisjoint(arms) else "",
            )
        )
    return made


def mean(row: Row | None) -> Cell:
    """Return the mean of a score."""
    return Cell(mean_cell(row), None if row is None else row.mean)


def control_difference(row: Row | None, control: str) -> Cell:
    """Return the difference from the arm's control."""
    if row is None or isnan(row.diff):
        return Cell()
    return Cell(difference_cell(row, control), row.diff, row.difference.is_sure)


def baseline_difference(row: Row | None) -> Cell:
    """Return the difference from the baseline."""
    if row is None or isnan(row.baseline_diff):
        return Cell()
    return Cell(baseline_cell(row), row.baseline_diff, row.baseline_difference.is_sure)


def _oracles(table: Table, dataset: str, task: str, metrics: Sequence[str], references: int) -> list[Line]:
    made = []
    for oracle in oracles_of(task):
        scores = table.oracles[dataset, task, oracle]
        if not scores.keys().isdisjoint(metrics):
            cells = [Cell(f"{scores[m]:z.1f}", scores[m]) if m in scores else Cell() for m in metrics]
            made.append(Line(ORACLE_NAMES[oracle], (*cells, *[Cell()] * references)))
    return made
