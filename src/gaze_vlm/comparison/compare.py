"""`gaze-vlm compare`: trains what is missing, then writes the tables, the data-size curve and the page.

This process imports no torch: what needs it is done where it is imported already, in a `WarmedProcess`.
"""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from gaze_vlm.command_line.commands import PROGRAM
from gaze_vlm.comparison.choice import NO_CHOICE, Choice
from gaze_vlm.comparison.config import Comparison, load_comparison
from gaze_vlm.comparison.cross_dataset import check_stores, cross_dataset_tests, read_test, run_missing_tests
from gaze_vlm.comparison.missing import Missing, how_many
from gaze_vlm.comparison.planned_runs import (
    PlannedRun,
    commands_of,
    is_complete,
    planned_runs,
    read_planned,
    resumed,
    train_missing,
)
from gaze_vlm.cores import cores, has_gpu
from gaze_vlm.errors import CommandError, InputError
from gaze_vlm.metrics.semantic import Encoder, default_encoder
from gaze_vlm.output import check_output_folder, writing
from gaze_vlm.processes.jobs import Launch, run_or_raise, thread_environment
from gaze_vlm.processes.submitted import JOBS, Submitted, read_options
from gaze_vlm.processes.subprocesses import Subprocesses
from gaze_vlm.processes.warmed import WarmedProcess
from gaze_vlm.progress import say
from gaze_vlm.ranges import at_least

Result = TypeVar("Result")
Engine = Literal["local", "submitit"]
Call = Callable[..., Any]
"""Calls a function, the first argument, with the others."""
RunsCheck = Callable[[Comparison, Sequence[PlannedRun]], None]
"""Refuses runs that would fail."""


def compare(
    config: Path,
    backbone: list[str] | None = None,
    data: list[str] | None = None,
    also_test: list[str] | None = None,
    arms: list[str] | None = None,
    train_clips: int | None = None,
    seeds: list[int] | None = None,
    output: Path | None = None,
    anew: bool = False,
    jobs: int | None = None,
    count: int | None = None,
    engine: Engine = "local",
    engine_options: Path | None = None,
    dry_run: bool = False,
) -> None:
    """Train and test every arm and seed that is missing, and write tables and a page.

    Every data set × backbone × arm × seed is a run. What is chosen here stands in place of the config's value, and
    goes to folders of its own: two data sets or backbones never mix.

    Args:
        config: YAML of the comparison (docs/compare.md); it says which arms, and where runs and results go.
        backbone: YAMLs of one or several backbones, `FILE` or `NAME=FILE`: of a backbone, such as
            lightning_configs/backbones/qwen2.5-vl-3b.yaml, or of a whole run.
        data: data sets to train and test on, `NAME=STORE`, or a YAML with `data.store` such as
            lightning_configs/egtea/data.yaml.
        also_test: data sets to test every run on too, given like `data`.
        arms: arms to compare; the control stays. By default all of the config.
        train_clips: number of train clips; by default that of the config.
        seeds: seeds to compare; by default those of the config.
        output: results, without suffix; by default the config's, below it the chosen data sets and backbones.
        anew: train interrupted runs from their start, in place of resuming them from their last checkpoint, which gives
            the same; say, after an update of a package.
        jobs: runs at a time; by default one on a GPU, else one a core.
        count: clips a section of the page, which the models are run on; by default those of `gaze-vlm report`, and 0
            leaves the clips out.
        engine: run in processes of this machine, or as jobs of a SLURM cluster (docs/cluster.md).
        engine_options: YAML of submitit's options, such as lightning_configs/cluster/submitit.yaml.
        dry_run: print the commands of the runs that are missing, and run none.

    Raises:
        InputError: a run would fail as it is configured; none was begun.
        CommandError: some runs or tests failed, and the tables are of the others; or their page could not be written.
    """
    at_least(0, count=count)
    gpu = has_gpu()
    if jobs is None:
        jobs = JOBS if engine == "submitit" else 1 if gpu else cores()
    if jobs < 1:
        raise InputError(f"jobs {jobs} leaves nothing to run with: give 1 or more")
    choice = Choice.of(backbone, data, also_test, arms, train_clips, output)
    if dry_run:
        commands = missing_commands(load_comparison(config, choice), seeds)
        if engine == "submitit":
            say(f"each of {len(commands)} commands is a job of {engine_options}: {read_options(engine_options)}")
        print("\n".join(commands or ["every run is there"]))
        return
    warmed = WarmedProcess(thread_environment(jobs))
    forks = sys.platform == "linux" and not gpu  # no fork of a process that holds a GPU, or a Mac's frameworks
    if engine == "submitit":
        folder = load_comparison(config, choice).runs / "submitit"
        launches: Submitted | Subprocesses = Submitted(engine_options, folder, resumed)
    else:
        launches = Subprocesses(warmed if forks else None)
    with launches as launch:
        encoder = default_encoder()
        table, missing = run_comparison(config, seeds, jobs, launch, encoder, check_runs, warmed.call, choice, anew)
        _print_page(table)
        lines = [] if not missing else [f"{table} is incomplete, {how_many(missing)} missing:"]
        lines += [f"  {one}" for one in missing]
        try:
            page = write_page(config, choice, seeds, count, table.with_suffix(".html"), launch)
        except CommandError as error:
            lines.append(f"the tables are written, their page is not: {error}")
        else:
            say(f"written: {page}")
    if lines:
        raise CommandError("\n".join(lines))


def missing_commands(comparison: Comparison, seeds: Sequence[int] | None) -> list[str]:
    """Return the command lines of the runs that a comparison lacks."""
    planned = planned_runs(comparison, comparison.chosen_seeds(seeds))
    return commands_of(comparison, [run for run in planned if not is_complete(run, comparison)])


def check_runs(comparison: Comparison, missing: Sequence[PlannedRun]) -> None:
    """Call `refuse_failing_runs`, which imports torch."""
    from gaze_vlm.comparison.checks import refuse_failing_runs

    refuse_failing_runs(comparison, missing)


def write_table(*args: Any) -> Path:
    """Call `write_results`, which imports torch for its scores."""
    from gaze_vlm.comparison.results import write_results

    return write_results(*args)


def write_page(
    config: Path, choice: Choice, seeds: Sequence[int] | None, count: int | None, page: Path, launch: Launch
) -> Path:
    """Write the page of a comparison as `gaze-vlm report` does.

    It imports torch and runs the models.

    Raises:
        CommandError: it could not be written.
    """
    words = [*replace(choice, output=None).arguments("report", config, seeds), "--output", str(page)]
    words += [] if count is None else ["--count", str(count)]
    log = load_comparison(config, choice).runs / "report.log"
    run_or_raise(launch, [*PROGRAM, *words], log, thread_environment(jobs=1))
    return page


def call_here(function: Callable[..., Result], *args: object) -> Result:
    """Call a function in this process."""
    return function(*args)


def run_comparison(
    config: Path,
    seeds: list[int] | None,
    jobs: int,
    launch: Launch,
    encoder: Encoder | None,
    check: RunsCheck,
    call: Call = call_here,
    choice: Choice = NO_CHOICE,
    anew: bool = False,
) -> tuple[Path, list[Missing]]:
    """`compare` with its parts passed in.

    Args:
        config: see `compare`, also for `seeds`.
        seeds: None is the config's.
        jobs: runs at a time.
        launch: runs one command.
        encoder: sentence encoder of the oracles' semantic score; None leaves that out.
        check: refuses runs that would fail, before the first begins.
        call: calls what imports torch.
        choice: see `compare`, also for `anew`.
        anew: see there.

    Returns:
        The page that was written, and what it lacks because a command failed.

    Raises:
        CommandError: every run failed, so that there is nothing to write.
    """
    comparison = load_comparison(config, choice)
    chosen = comparison.chosen_seeds(seeds)
    if not chosen:
        raise InputError(f"{config}: no seed to compare: give --seeds 0 1 2")
    check_stores(comparison)
    for folder in (comparison.output.parent, comparison.runs):
        check_output_folder(folder)
    planned = planned_runs(comparison, chosen)
    missing = [run for run in planned if not is_complete(run, comparison)]
    for run in planned:
        if run not in missing:
            read_planned(run, comparison)  # what cannot be compared is refused before anything is trained
    if missing:
        call(check, comparison, missing)
    failed = train_missing(comparison, missing, jobs, launch, anew)
    runs = {run: read_planned(run, comparison) for run in planned if run not in failed}
    if not runs:
        reasons = "\n".join(f"  {run}: {reason}" for run, reason in failed.items())
        raise CommandError(f"every run failed, so there is no table\n{reasons}")
    tests = cross_dataset_tests(comparison, list(runs))
    untested = run_missing_tests(tests, jobs, launch)
    elsewhere = [read_test(test, runs[test.run]) for test in tests if test not in untested]
    lacking = [Missing(run, run.dataset, reason) for run, reason in failed.items()]
    lacking += [Missing(test.run, test.dataset, reason) for test, reason in untested.items()]
    command = shlex.join(["gaze-vlm", *choice.arguments("compare", config, chosen)])
    with writing(comparison.output):
        return call(write_table, comparison, runs, elsewhere, command, encoder, lacking), lacking


def _print_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        print(text)
    say(f"written: {page}")
