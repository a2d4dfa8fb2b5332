"""Published figures stand beside ours, in the CSV and on the page, for runs tested on their own data set."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.cells import difference_cell, mean_cell
from gaze_vlm.comparison.markdown import comparison_page
from gaze_vlm.comparison.published import COLUMNS, read_published, with_published
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.comparison.table import build_table
from gaze_vlm.errors import InputError

ROOT = Path(__file__).parents[2]
OF_THE_PAPER = ROOT / "lightning_configs" / "compare" / "published.csv"
FIGURES = """arm,task,metric,value,measured_on
control,future,noun,60.0,"a model, some data"
gaze,future,noun,72.5,"a model, some data"
gaze,activity,rouge_l,40,another
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "published.csv"
    file.write_text(FIGURES)
    return file


def test_figures_stand_beside_ours(file: Path, tmp_path: Path) -> None:
    runs = [
        read_run(write_run(tmp_path / arm, rows(answers(48, share, 1), 2.0), arm, 0, weight=weight))
        for arm, share, weight in (("control", 0.5, 0.0), ("gaze", 0.7, 1.0))
    ]
    elsewhere = [replace(run, dataset="other") for run in runs]
    table = with_published(build_table([*runs, *elsewhere], "control", reach_s=0.8), read_published(file))
    table.write_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as stream:
        shown = {
            (row["dataset"], row["arm"], row["task"], row["metric"]): (row["published"], row["published_on"])
            for row in csv.DictReader(stream)
            if row["published"]
        }
    assert shown == {
        ("kitchen", "control", "future", "noun"): ("60.0", "a model, some data"),
        ("kitchen", "gaze", "future", "noun"): ("72.5", "a model, some data"),
        ("kitchen", "gaze", "activity", "rouge_l"): ("40.0", "another"),
    }
    page = comparison_page(table, [*runs, *elsewhere], 0.8, "command", "versions")
    assert page.count("## Published figures") == 1
    (line,) = [line for line in page.splitlines() if line.startswith("| gaze | future | Noun | 72.5 | +12.5 |")]
    ours = next(row for row in table.rows if (row.arm, row.task, row.metric) == ("gaze", "future", "noun"))
    assert line.endswith(f"| {mean_cell(ours)} | {difference_cell(ours, 'control')} | a model, some data |")


def test_without_a_file_nothing_is_published(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", rows(answers(48, 0.5, 1), 2.0), "control", 0, weight=0.0))
    assert "Published" not in comparison_page(
        build_table([run], "control", reach_s=0.8), [run], 0.8, "command", "versions"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arm,task\n", "it needs arm, task, metric, value, measured_on"),
        (FIGURES.replace("activity", "now"), "line 4: task 'now' is none of activity, future"),
        (FIGURES.replace("rouge_l", "rouge"), "line 4: metric 'rouge' is none of "),
        (FIGURES.replace("72.5", "high"), "line 3: value is 'high', not a number"),
        (FIGURES + 'control,future,noun,61,"again"\n', "line 5: control, future, noun stands there twice"),
    ],
)
def test_what_cannot_be_read_is_named(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_published(file)


def test_the_papers_figures_are_of_arms_that_exist() -> None:
    figures = read_published(OF_THE_PAPER)
    arms = {file.stem for file in (ROOT / "lightning_configs" / "arms").glob("*.yaml")}
    assert {arm for arm, _, _ in figures} <= arms
    assert figures["gaze", "future", "semantic"] == (75.05, "OpenFlamingo, Ego4D")
    assert OF_THE_PAPER.read_text().startswith(",".join(COLUMNS))
