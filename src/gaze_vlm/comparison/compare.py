"""`gaze-vlm compare`: trains what is missing, then writes the table and the data-size curve."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.markdown import Markdown

from gaze_vlm.comparison.checks import RunsCheck, refuse_failing_runs
from gaze_vlm.comparison.config import Comparison, load_comparison
from gaze_vlm.comparison.cross_dataset import check_stores, cross_dataset_tests, read_test, run_missing_tests
from gaze_vlm.comparison.curve import CurvePoint, curve_points, plot_curve, write_curve_csv
from gaze_vlm.comparison.jobs import Launch, Subprocesses
from gaze_vlm.comparison.markdown import headline_metric, package_versions, render
from gaze_vlm.comparison.missing import Missing, count
from gaze_vlm.comparison.planned_runs import PlannedRun, is_complete, planned_runs, read_planned, train_missing
from gaze_vlm.comparison.runs import Run
from gaze_vlm.comparison.table import build_table
from gaze_vlm.cores import cores
from gaze_vlm.errors import CommandError, InputError
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.metrics.semantic import Encoder, default_encoder
from gaze_vlm.output import check_output_folder, writing


def compare(config: Path, seeds: list[int] | None = None, jobs: int | None = None) -> None:
    """Train and test every arm and seed that is missing, and write one table.

    Args:
        config: YAML of the comparison; it says which arms, and where runs and results go.
        seeds: seeds to compare; by default those of the config.
        jobs: runs at a time; by default one on a GPU, else one a core.

    Raises:
        InputError: a run would fail as it is configured; none was begun.
        CommandError: some runs or tests failed; the table is of the others.
    """
    with Subprocesses() as launch:
        page, missing = run_comparison(config, seeds, jobs, launch, default_encoder(), refuse_failing_runs)
    _show(page)
    if missing:
        lines = [f"{page} is incomplete, {count(missing)} missing:", *(f"  {one}" for one in missing)]
        raise CommandError("\n".join(lines))


def run_comparison(
    config: Path,
    seeds: list[int] | None,
    jobs: int | None,
    launch: Launch,
    encoder: Encoder | None,
    check: RunsCheck,
) -> tuple[Path, list[Missing]]:
    """`compare` with its parts passed in.

    Args:
        config: see `compare`, also for `seeds` and `jobs`.
        seeds: None is the config's.
        jobs: None is one on a GPU, else one a core.
        launch: runs one command.
        encoder: sentence encoder of the oracles' semantic score; None leaves that out.
        check: refuses runs that would fail, before the first begins.

    Returns:
        The page that was written, and what it lacks because a command failed.

    Raises:
        CommandError: every run failed, so that there is nothing to write.
    """
    comparison = load_comparison(config)
    if jobs is None:
        jobs = 1 if torch.cuda.is_available() else cores()
    if jobs < 1:
        raise InputError(f"jobs {jobs} leaves nothing to run with: give 1 or more")
    chosen = list(dict.fromkeys(comparison.seeds if seeds is None else seeds))
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
    check(comparison, missing)
    failed = train_missing(comparison, missing, jobs, launch)
    runs = {run: read_planned(run, comparison) for run in planned if run not in failed}
    if not runs:
        reasons = "\n".join(f"  {run}: {reason}" for run, reason in failed.items())
        raise CommandError(f"every run failed, so there is no table\n{reasons}")
    tests = cross_dataset_tests(comparison, list(runs))
    untested = run_missing_tests(tests, jobs, launch)
    elsewhere = [read_test(test, runs[test.run]) for test in tests if test not in untested]
    lacking = [Missing(run, comparison.dataset, reason) for run, reason in failed.items()]
    lacking += [Missing(test.run, test.dataset, reason) for test, reason in untested.items()]
    command = f"gaze-vlm compare --config {config} --seeds {' '.join(map(str, chosen))}"
    with writing(comparison.output):
        return write_results(comparison, runs, elsewhere, command, encoder, lacking), lacking


def write_results(
    comparison: Comparison,
    runs: dict[PlannedRun, Run],
    elsewhere: Sequence[Run],
    command: str,
    encoder: Encoder | None,
    missing: Sequence[Missing] = (),
) -> Path:
    """Write the page and the CSV; the curve's CSV and picture where there is one.

    Args:
        comparison: what was compared.
        runs: the finished runs of the comparison.
        elsewhere: those of the main table, tested on other data sets.
        command: that makes these results again.
        encoder: see `run_comparison`.
        missing: what the page says that it lacks.
    """
    output = comparison.output
    output.parent.mkdir(parents=True, exist_ok=True)
    main = [run for planned, run in runs.items() if planned.train_clips == comparison.train_clips]
    shown = [*main, *elsewhere]
    table = build_table(shown, comparison.control, comparison.reach_s, encoder)
    table.write_csv(output.with_name(f"{output.name}.csv"))
    curve: Sequence[CurvePoint] = ()
    picture = None
    # Only the curve's own points: an arm may be in the main table at a size that the curve leaves out.
    points = [
        run
        for planned, run in runs.items()
        if planned.arm in comparison.curve.arms and planned.train_clips in comparison.curve.train_clips
    ]
    if points:
        metric = headline_metric(points)
        curve = curve_points(points, comparison.control, metric)
        picture = f"{output.name}_curve.png"
        write_curve_csv(curve, output.with_name(f"{output.name}_curve.csv"))
        title = f"{SCORES[metric].title} on {comparison.dataset}, {comparison.backbone}"
        plot_curve(curve, title, output.with_name(picture))
    page = output.with_name(f"{output.name}.md")
    text = render(table, shown, comparison.reach_s, command, package_versions(), curve, picture, missing)
    page.write_text(text, encoding="utf-8")
    return page


def _show(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if sys.stdout.isatty():
        Console().print(Markdown(text))
    else:
        print(text)
    print(f"written: {page}", file=sys.stderr)
