"""A paper's published figures, shown beside ours."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

from gaze_vlm.comparison.cell_tables import CellTable, Section
from gaze_vlm.comparison.cells import difference_cell, mean_cell
from gaze_vlm.comparison.table import Table
from gaze_vlm.errors import InputError
from gaze_vlm.formats.csv_tables import parse_finite
from gaze_vlm.metrics.scores import DASH, SCORES
from gaze_vlm.runs.prediction import TASKS
from gaze_vlm.shipped.configs import locate_config

COLUMNS = ("arm", "task", "metric", "value", "measured_on")
Figures = Mapping[tuple[str, str, str], tuple[float, str]]
"""Of an arm, task and metric: the figure in the unit of the table, and what it was measured on."""


def read_published(file: Path) -> Figures:
    """Read a CSV of published figures with the columns `COLUMNS`.

    Raises:
        InputError: other columns, a task or metric that is unknown, a value that is no number, or an entry given twice.
    """
    try:
        return _figures(file)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} is not a CSV file in UTF-8 ({error}): save it again as one") from error


def _figures(file: Path) -> Figures:
    with locate_config(file).open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise InputError(f"{file} has the columns {reader.fieldnames}: it needs {', '.join(COLUMNS)}")
        figures: dict[tuple[str, str, str], tuple[float, str]] = {}
        for row in reader:
            key, line = (row["arm"], row["task"], row["metric"]), f"{file}, line {reader.line_num}"
            if None in row or None in row.values():
                raise InputError(f"{line}: it needs {len(COLUMNS)} values: {', '.join(COLUMNS)}")
            if row["task"] not in TASKS:
                raise InputError(f"{line}: task {row['task']!r} is none of {', '.join(TASKS)}: correct it")
            if row["metric"] not in SCORES:
                raise InputError(f"{line}: metric {row['metric']!r} is none of {', '.join(SCORES)}: correct it")
            if key in figures:
                raise InputError(f"{line}: {', '.join(key)} stands there twice: take one out")
            figures[key] = parse_finite(row["value"], "value", file, reader.line_num), row["measured_on"]
    return figures


def with_published(table: Table, figures: Figures) -> Table:
    """Return the table with figures beside the rows that they are of.

    Those are of the data set that the runs were trained on.
    """
    rows = []
    for row in table.rows:
        value, measured_on = nan, ""
        if row.dataset == row.trained_on:
            value, measured_on = figures.get((row.arm, row.task, row.metric), (nan, ""))
        rows.append(replace(row, published=value, published_on=measured_on))
    return replace(table, rows=tuple(rows))


def published_cells(table: Table, section: Section) -> CellTable | None:
    """Return a row an arm and score that has a published figure; None where none has."""
    rows = [row for row in table.rows if (row.dataset, row.trained_on, row.backbone) == tuple(section)]
    shown = [row for row in rows if not isnan(row.published)]
    figures = {(row.arm, row.task, row.metric): row.published for row in shown}
    cells = []
    for row in shown:
        gain = row.published - figures.get((row.control, row.task, row.metric), nan)
        published = f"{row.published:.1f}", DASH if isnan(gain) else f"{gain:+z.1f}"
        name = row.arm, row.task, SCORES[row.metric].title
        cells.append([*name, *published, mean_cell(row), difference_cell(row, table.control), row.published_on])
    against = f"vs {table.control}"
    header = ["Arm", "Task", "Score", "Published", f"Published {against}", "Ours", f"Ours {against}", "Published for"]
    return CellTable(header, cells) if cells else None
