"""Which arms a page compares, and what it says of their difference."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.comparison.runs import by_arm, read_run
from gaze_vlm.comparison.table import Row
from gaze_vlm.report.headline import Headline, Roles, headline, in_sentence, roles_of, verdict
from gaze_vlm.report.score_tables import control_difference


def row(diff: float, low: float, high: float, **more: float) -> Row:
    unset = {field.name: np.nan if field.type is float else "noun" for field in fields(Row)}
    known = {"diff": diff, "diff_low": low, "diff_high": high, "p_holm": 0.01, "control": "control"}
    return Row(**(unset | known | more))


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
    one = Headline("noun", "activity", {}, {"gaze": row(0.1, low, high), "control": row(np.nan, np.nan, np.nan)})
    roles = Roles("gaze", "control", None)
    assert verdict(one, roles) == said
    other = said.replace("Training with gaze", "The arm gaze").replace("effect of gaze", "effect of the arm gaze")
    assert verdict(one, replace(roles, is_gaze=False)) == other
    assert verdict(one, Roles("shuffled", "control", None)) == verdict(None, roles) == "No comparison yet"


@pytest.mark.parametrize(
    ("of_seeds", "said", "shown"),
    [
        ((0.05, 0.4), "Training with gaze helped", "+0.2 [+0.1, +0.4]"),
        ((-0.2, 0.6), "Training with gaze helped with these seeds; others may differ", "+0.2 [-0.2, +0.6]"),
        ((np.nan, np.nan), "Training with gaze helped", "+0.2 [+0.1, +0.3]"),
    ],
)
def test_other_seeds_decide_where_there_are_enough(of_seeds: tuple[float, float], said: str, shown: str) -> None:
    gaze = row(0.2, 0.1, 0.3, diff_seeds_low=of_seeds[0], diff_seeds_high=of_seeds[1])
    one, roles = Headline("noun", "activity", {}, {"gaze": gaze, "control": gaze}), Roles("gaze", "control", None)
    assert verdict(one, roles) == said
    assert in_sentence(gaze.difference) == shown
    assert control_difference(gaze, "control").sure is not said.endswith("differ")


def test_a_difference_is_bold_where_its_interval_leaves_out_zero() -> None:
    cell = control_difference(row(2, 1, 3), "control")
    assert (cell.text, cell.value, cell.sure) == ("+2.0 [+1.0, +3.0], p = 0.010", 2, True)
    assert control_difference(row(2, -1, 3), "control").sure is False
    assert control_difference(row(2, np.nan, np.nan), "control").text == "+2.0 [too few sessions]"
    of_seeds = control_difference(row(2, 1, 3, diff_seeds_low=-0.5, diff_seeds_high=4.5), "another")
    assert of_seeds.text == "+2.0 [+1.0, +3.0], p = 0.010; with other seeds [-0.5, +4.5] (vs control)"
    assert control_difference(row(2, 1, 3), "another").text.endswith("(vs control)")
    assert control_difference(None, "control").text == "—"


def test_the_treatment_is_found_by_name_else_by_weight(compared: Path) -> None:
    comparison = load_comparison(compared)
    runs = {path.parent.name: read_run(path) for path in (compared.parent / "runs").glob("*/seed0")}
    assert roles_of(by_arm(runs.values()), comparison) == Roles("gaze", "control", "baseline")
    renamed = by_arm(replace(run, arm={"gaze": "strong"}.get(arm, arm)) for arm, run in runs.items())
    without = {arm: files for arm, files in comparison.arms.items() if arm != "gaze"}
    strong = replace(comparison, arms=without | {"strong": Path("strong.yaml")})
    assert roles_of(renamed, strong) == Roles("strong", "control", "baseline", is_gaze=False)
    own = replace(strong, controls={"strong": "baseline"})
    assert roles_of(renamed, own) == Roles("strong", "baseline", "baseline", is_gaze=False)
    assert roles_of(renamed, comparison).treatment is None  # the runs of `gaze` failed, and no arm stands for it
    alone = by_arm([runs["control"]])
    assert roles_of(alone, comparison) == Roles(None, "control", None, is_gaze=False)
    assert headline(alone, {}, "activity", "semantic", 0.8).rows == {}
