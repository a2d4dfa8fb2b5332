"""One arm that fails does not cost the others: they finish, the page says what it lacks, the status is 1."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from fake_comparison import Stub, accept, compared, write_config
from gaze_vlm.cli import main
from gaze_vlm.comparison import compare
from gaze_vlm.comparison.compare import run_comparison
from gaze_vlm.errors import CommandError

FAILING = Path("runs/kitchen/gaze/seed1")


def one_fails(*parts):
    return Stub(fail=parts or (f"--run.dir={FAILING}",))


def test_the_other_arms_finish_and_the_page_says_what_it_lacks(project, capsys):
    write_config(curve=None)
    stub = one_fails()
    page, missing = run_comparison(project, [0, 1], 1, stub, None, accept)
    assert stub.subcommands.count("fit") == 4
    assert [(one.run.arm, one.run.seed, one.reason) for one in missing] == [
        ("gaze", 1, f"the run failed, {FAILING}/log.txt")
    ]
    text = page.read_text()
    assert text.startswith("**Incomplete: 1 result is missing.**")
    assert f"seed 1, tested on kitchen: the run failed, {FAILING}/log.txt" in text
    assert "- Seeds: control 0, 1; gaze 0\n" in text
    assert text.count("| gaze (1 of 2 seeds) | ") == 5 * 3  # tables a task
    assert "| control | " in text
    said = capsys.readouterr().err
    assert "command failed with status 3: " in said
    assert f"  fit\n  last words\nwhole log: {FAILING}/log.txt" in said

    stub = Stub()
    assert "Incomplete" not in compared(project, [0, 1], 1, stub).read_text()
    assert stub.subcommands == ["backbone", "fit"]  # the failed run alone


def test_an_arm_without_a_run_stands_in_the_table_as_missing(project):
    write_config(curve=None)
    for arm in ("gaze", "control"):
        page, _ = run_comparison(project, [0], 1, one_fails(f"--run.dir=runs/kitchen/{arm}/seed0"), None, accept)
        assert page.read_text().count(f"| {arm} (missing) | — |") == 5 * 3  # tables a task
        for run in Path("runs/kitchen").glob("*/seed0"):
            (run / "compare.json").unlink(missing_ok=True)


def test_a_failing_before_seed_costs_its_seed_alone(project):
    stub = one_fails("checkpoints/seed0")
    page, missing = run_comparison(project, [0, 1], 1, stub, None, accept)
    fits = [command for command, _ in stub.calls if command[3] == "fit"]
    assert len(fits) == 4
    assert all("--seed_everything=1" in command for command in fits)
    assert {(one.run.seed, one.reason) for one in missing} == {(0, "before_seed failed, runs/kitchen/before-seed0.log")}
    assert "| activity | 400 | 1 |" in page.read_text()  # the curve of the seed that is there


def test_a_curve_of_which_nothing_is_there_is_left_out(project):
    write_config(curve={"arms": ["gaze"], "train_clips": [400]})
    page, missing = run_comparison(project, [0], 1, one_fails("--data.train_clips=400"), None, accept)
    assert [one.run.train_clips for one in missing] == [400]
    assert "Data-size curve" not in page.read_text()
    assert "(missing)" not in page.read_text()  # not in the main table, which lacks nothing


def test_nothing_is_written_where_every_run_fails(project):
    with pytest.raises(CommandError, match=r"(?s)every run failed.*gaze-400/seed1: the run failed, .*/seed1/log\.txt"):
        run_comparison(project, [0, 1], 1, one_fails("fit"), None, accept)
    assert not Path("results").exists()


def test_a_fault_of_ours_is_not_a_failed_run(project):
    def broken(command, log, environment):
        raise KeyError("a fault")

    with pytest.raises(KeyError, match="a fault"):
        run_comparison(project, [0], 1, broken, None, accept)


def test_the_command_prints_the_table_names_the_log_and_ends_with_1(project, monkeypatch, capsys):
    write_config(curve=None)
    monkeypatch.setattr(compare, "Subprocesses", lambda warmed: nullcontext(one_fails()))
    monkeypatch.setattr(compare, "check_runs", accept)
    monkeypatch.setattr(compare.WarmedProcess, "call", lambda _, function, *args: function(*args))
    monkeypatch.setattr(compare, "default_encoder", lambda: None)
    options = ["compare", f"--config={project}", "--seeds", "0", "1"]
    assert main(options) == 1
    said = capsys.readouterr()
    assert "| gaze (1 of 2 seeds) |" in said.out
    assert "gaze-vlm compare: error: results/kitchen.md is incomplete, 1 result is missing:" in said.err
    assert said.err.rstrip().endswith(f"the run failed, {FAILING}/log.txt")
    monkeypatch.setattr(compare, "Subprocesses", lambda warmed: nullcontext(Stub()))
    assert main(options) == 0


def test_a_finished_run_that_is_another_is_refused_before_anything_is_trained(project):
    write_config(curve=None)
    compared(project, [0], 1, Stub())
    write_config(curve=None, dataset="other kitchen")
    stub = Stub()
    with pytest.raises(ValueError, match=r"run\.json: dataset is 'kitchen', the comparison asks for 'other kitchen'"):
        run_comparison(project, [0, 1], 1, stub, None, accept)
    assert stub.calls == []
