from math import isnan
from pathlib import Path

import pytest

from fake_comparison import Stub, compared, write_config
from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.cell_tables import Section
from gaze_vlm.comparison.choice import Choice
from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.comparison.sweeps import in_words, sweep_gains, sweeps_figure
from gaze_vlm.comparison.table import build_table
from gaze_vlm.errors import InputError

ARMS = {"control": 0.5, "lambda-1": 0.7, "lambda-10": 0.6}
SECTION = Section("kitchen", "kitchen", "tiny-llava")


@pytest.fixture
def table(tmp_path):
    made = [
        read_run(write_run(tmp_path / arm / str(seed), rows(answers(48, share, seed), kl=None), arm, seed, weight=1.0))
        for arm, share in ARMS.items()
        for seed in (0, 1)
    ]
    return build_table(made, "control", reach_s=0.8)


def test_gains_are_the_tables_differences_by_number(table):
    sweep = {"lambda-10": 10, "control": 0, "lambda-1": 1, "not-run": 3}
    found = sweep_gains(table, SECTION, {"λ": sweep, "alone": {"lambda-1": 1, "not-run": 3}}, "noun")
    assert [*found] == ["λ"]  # one arm is no sweep
    of_table = {arm: metrics["noun"] for arm, metrics in table.of("kitchen", "tiny-llava", "future").items()}
    expected = [(0, 0, 0, 0)] + [
        (number, row.diff, row.diff_low, row.diff_high)
        for number, row in ((1, of_table["lambda-1"]), (10, of_table["lambda-10"]))
    ]
    assert found["λ"]["future"] == expected
    assert not any(isnan(value) for gain in expected for value in gain)


def test_the_picture_has_a_point_at_each_gain(table):
    found = sweep_gains(table, SECTION, {"λ": {"control": 0, "lambda-1": 1, "lambda-10": 10}}, "noun")
    (panel,) = sweeps_figure(found, "control", "noun").axes
    activity = panel.containers[0].lines[0]
    assert list(activity.get_ydata()) == [one.gain for one in found["λ"]["activity"]]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["0", "1", "10"]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("λ", "noun, over control (points)")
    assert in_words(found).startswith(f"λ, activity: 0: +0.0, 1: {found['λ']['activity'][1].gain:+.1f}, 10: ")


def test_a_comparison_writes_it_and_the_page_shows_it(project):
    write_config(curve=None, sweeps={"λ": {"control": 0, "gaze": 1}})
    page = compared(project, [0, 1], 1, Stub())
    assert "(kitchen_sweeps.png)" in page.read_text()
    assert Path("results/kitchen_sweeps.png").is_file()


def test_an_arm_that_was_not_chosen_leaves_its_sweep(project):
    write_config(
        curve=None, arms=dict.fromkeys(("control", "gaze", "more"), "gaze.yaml"), sweeps={"λ": {"gaze": 1, "more": 2}}
    )
    assert load_comparison(project, Choice(arms=("gaze",))).sweeps == {"λ": {"gaze": 1}}


def test_an_arm_that_is_none_is_refused(project):
    write_config(sweeps={"λ": {"gaze": 1, "gaz": 2}})
    with pytest.raises(InputError, match=r"compare\.yaml: sweeps: λ: 'gaz' is no arm, name one of control, gaze"):
        load_comparison(project)
