"""Which arms a page compares, and what it says of their difference."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.comparison.runs import by_arm, read_run
from gaze_vlm.comparison.table import Row
from gaze_vlm.report.headline import Roles, headline, roles_of, verdict
from gaze_vlm.report.score_tables import control_difference


def row(diff: float, low: float, high: float) -> Row:
    unset = {field.name: np.nan if field.type is float else "noun" for field in fields(Row)}
    return Row(**(unset | {"diff": diff, "diff_low": low, "diff_high": high, "p_holm": 0.01, "control": "control"}))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.1, 0.3, "Training with gaze helped"),
        (-0.3, -0.1, "Training with gaze did harm"),
        (-0.1, 0.3, "No sure effect of gaze"),
        (np.nan, np.nan, "Too few sessions to tell"),
    ],
)
def test_the_verdict_is_of_the_interval(low: float, high: float, said: str) -> None:
    assert verdict(row(0.1, low, high)) == said


def test_a_difference_is_bold_where_its_interval_leaves_out_zero() -> None:
    cell = control_difference(row(2, 1, 3), "control")
    assert (cell.text, cell.value, cell.sure) == ("+2.0 [+1.0, +3.0], p = 0.010", 2, True)
    assert control_difference(row(2, -1, 3), "control").sure is False
    assert control_difference(row(2, np.nan, np.nan), "control").text == "+2.0 [too few sessions]"
    assert control_difference(row(2, 1, 3), "another").text.endswith("(vs control)")
    assert control_difference(None, "control").text == "—"


def test_the_treatment_is_found_by_name_else_by_weight(compared: Path) -> None:
    comparison = load_comparison(compared)
    runs = {path.parent.name: read_run(path) for path in (compared.parent / "runs").glob("*/seed0")}
    found = roles_of(by_arm(runs.values()), comparison)
    assert (found.treatment, found.control, found.baseline) == ("gaze", "control", "baseline")
    renamed = [replace(run, arm={"gaze": "strong"}.get(arm, arm)) for arm, run in runs.items()]
    assert roles_of(by_arm(renamed), comparison).treatment == "strong"
    alone = by_arm([runs["control"]])
    assert roles_of(alone, comparison) == Roles(None, "control", None)
    assert headline(alone, {}, "activity", "semantic", 0.8).rows == {}
