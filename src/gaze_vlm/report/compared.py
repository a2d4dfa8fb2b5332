"""What of a comparison is finished, read back for its page."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gaze_vlm.comparison.choice import Choice
from gaze_vlm.comparison.config import Comparison, load_comparison
from gaze_vlm.comparison.cross_dataset import cross_dataset_tests, read_test
from gaze_vlm.comparison.curve import CurvePoint, curve_points
from gaze_vlm.comparison.markdown import headline_metric
from gaze_vlm.comparison.missing import Missing
from gaze_vlm.comparison.planned_runs import is_complete, planned_runs, read_planned
from gaze_vlm.comparison.results import comparison_table
from gaze_vlm.comparison.runs import Run
from gaze_vlm.comparison.table import Table
from gaze_vlm.errors import InputError
from gaze_vlm.metrics.semantic import default_encoder


@dataclass(frozen=True)
class Compared:
    """The finished runs of a comparison, and what is made of them.

    `shown` are those of the main table, tested on its own data sets and on others; `table` is of these. `curve` is the
    data-size curve, empty for none, and `command` makes the page again.
    """

    comparison: Comparison
    shown: list[Run]
    table: Table
    curve: list[CurvePoint]
    missing: list[Missing]
    command: str


def read_compared(config: Path, choice: Choice, seeds: Sequence[int] | None) -> Compared:
    """Read all runs and tests of a comparison that are finished.

    Raises:
        InputError: none is, or a run is not what the comparison asks for.
    """
    comparison = load_comparison(config, choice)
    chosen = comparison.chosen_seeds(seeds)
    planned = planned_runs(comparison, chosen)
    runs = {run: read_planned(run, comparison) for run in planned if is_complete(run, comparison)}
    if not runs:
        raise InputError(f"{comparison.runs} has no finished run of {config}: run `gaze-vlm compare --config {config}`")
    tests = cross_dataset_tests(comparison, list(runs))
    missing = [Missing(run, run.dataset, "not finished") for run in planned if run not in runs]
    missing += [Missing(test.run, test.dataset, "not tested") for test in tests if not test.is_done]
    elsewhere = [read_test(test, runs[test.run]) for test in tests if test.is_done]
    shown = [run for one, run in runs.items() if one.train_clips == comparison.train_clips] + elsewhere
    table = comparison_table(comparison, shown, default_encoder())
    points = [
        run
        for one, run in runs.items()
        if one.arm in comparison.curve.arms and one.train_clips in comparison.curve.train_clips
    ]
    curve = curve_points(points, comparison.control, headline_metric(points)) if points else []
    command = shlex.join(["gaze-vlm", *choice.arguments("report", config, chosen)])
    return Compared(comparison, shown, table, curve, missing, command)
