"""The files of a comparison: the page, the CSV and LaTeX; the curve's CSV, and pictures, where there are any."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from gaze_vlm.comparison.cell_tables import sections_of
from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.contamination import overlaps
from gaze_vlm.comparison.curve import CurvePoint, curve_figure, curve_points, write_curve_csv
from gaze_vlm.comparison.latex import latex_tables
from gaze_vlm.comparison.markdown import comparison_page, headline_metric, package_versions
from gaze_vlm.comparison.missing import Missing
from gaze_vlm.comparison.planned_runs import PlannedRun
from gaze_vlm.comparison.published import read_published, with_published
from gaze_vlm.comparison.runs import Run
from gaze_vlm.comparison.sweeps import compared_with, sweep_gains, sweeps_figure
from gaze_vlm.comparison.table import Table, build_table
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.metrics.semantic import Encoder
from gaze_vlm.output import draft_of, write_atomically


def comparison_table(comparison: Comparison, runs: Sequence[Run], encoder: Encoder | None) -> Table:
    """Build the table of a comparison's runs, with published figures beside ours."""
    references = comparison.baseline, comparison.controls
    table = build_table(runs, comparison.control, comparison.reach_s, encoder, *references)
    return table if comparison.published is None else with_published(table, read_published(comparison.published))


def write_results(
    comparison: Comparison,
    runs: dict[PlannedRun, Run],
    elsewhere: Sequence[Run],
    command: str,
    encoder: Encoder | None,
    missing: Sequence[Missing] = (),
) -> Path:
    """Write the page, CSV and LaTeX of a comparison.

    The curve's CSV, and the pictures of curve and sweeps, are written where there are any.

    Args:
        comparison: what was compared.
        runs: the finished runs of the comparison.
        elsewhere: those of the main table, tested on other data sets.
        command: that makes these results again.
        encoder: see `run_comparison`.
        missing: what the page says that it lacks.
    """
    output = comparison.output
    main = [run for planned, run in runs.items() if planned.train_clips == comparison.train_clips]
    shown = [*main, *elsewhere]
    table = comparison_table(comparison, shown, encoder)
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
        title = f"{SCORES[metric].title} on {points[0].dataset}, {points[0].backbone}"
        save_png(curve_figure(curve, title), output.with_name(picture))
    pictures = {}
    for number, section in enumerate(sections_of(shown)):
        own = [run for run in shown if (run.dataset, run.trained_on, run.backbone) == section]
        metric = headline_metric(own)
        if found := sweep_gains(table, section, comparison.sweeps, metric):
            pictures[section] = f"{output.name}_sweeps{number + 1 if number else ''}.png"
            save_png(sweeps_figure(found, compared_with(comparison), metric), output.with_name(pictures[section]))
    page = output.with_name(f"{output.name}.md")
    text = comparison_page(
        table,
        shown,
        comparison.reach_s,
        command,
        package_versions(),
        curve=curve,
        picture=picture,
        missing=missing,
        folder=output.parent,
        curve_runs=points,
        shared=overlaps({(run.dataset, run.trained_on): run for run in main}, comparison.also_test),
        sweeps=pictures,
    )
    write_atomically(page, text)
    latex = latex_tables(table, sections_of(shown), comparison.reach_s, command)
    write_atomically(output.with_name(f"{output.name}.tex"), latex)
    return page


def save_png(figure: Figure, file: Path) -> None:
    """Write a picture, all or nothing."""
    with draft_of(file) as draft:
        figure.savefig(draft, format="png", dpi=160)
