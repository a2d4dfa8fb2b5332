"""The page of a comparison: what gaze did, the tables, clips with gaze and attention, and what stands behind it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from gaze_vlm.comparison.cell_tables import TITLES, Section, cost_cells, sections_of
from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.curve import CurvePoint, curve_figure
from gaze_vlm.comparison.groups import SPLIT_TASKS
from gaze_vlm.comparison.markdown import headline_metric, package_versions
from gaze_vlm.comparison.runs import Run, by_arm
from gaze_vlm.comparison.statistics import LEAST_SEEDS
from gaze_vlm.comparison.sweeps import compared_with, in_words, sweep_gains, sweeps_figure
from gaze_vlm.comparison.table import Table
from gaze_vlm.metrics.scores import DASH, SCORES
from gaze_vlm.report.alignment_views import alignment_views
from gaze_vlm.report.charts import Mean, inline_svg, means_chart
from gaze_vlm.report.compared import Compared
from gaze_vlm.report.headline import MEANING, Headline, Roles, headline, in_sentence, roles_of, verdict
from gaze_vlm.report.html import render_page
from gaze_vlm.report.pictured import pictured, shown_runs
from gaze_vlm.report.score_tables import GroupTable, group_tables
from gaze_vlm.runs.prediction import TASKS
from gaze_vlm.shipped.configs import locate_config


@dataclass(frozen=True)
class TaskView:
    """The results of one task: its chart, and a table for each group of scores."""

    name: str
    title: str
    clips: int
    sessions: int
    chart: Markup | None
    groups: list[GroupTable]


@dataclass(frozen=True)
class PartView:
    """The results of one backbone, trained on a data set and tested on one."""

    name: str
    title: str
    tasks: list[TaskView]


@dataclass(frozen=True)
class Setting:
    """What an arm is, and where its runs are."""

    arm: str
    words: str
    weight: str
    floor: str
    train_clips: str
    runs: list[tuple[str, str]]


def page_of(found: Compared, output: Path, count: int, named: Sequence[str]) -> str:
    """Return the page as HTML.

    Args:
        found: what was compared.
        output: where the page will be; links to runs are relative to it.
        count: clips a section; 0 leaves them out, so that no model is run.
        named: ids of further clips.
    """
    comparison, runs, table = found.comparison, found.shown, found.table
    sections = sections_of(runs)
    first = sections[0]
    own = [run for run in runs if (run.dataset, run.trained_on, run.backbone) == first]
    arms = by_arm(own)
    roles, metric = roles_of(arms, comparison), headline_metric(own)
    of_task = {task: table.of(first.dataset, first.backbone, task, first.trained_on) for task in TASKS}
    of_tasks = [headline(arms, rows, task, metric, comparison.reach_s) for task, rows in of_task.items()]
    headlines = [one for one in of_tasks if one.means]
    main = next((one for one in headlines if one.compared(roles)), next(iter(headlines), None))
    tested = (table.tested[first.dataset, task] for task in ([main.task] if main else TASKS))
    return render_page(
        "comparison.html",
        title=f"{first.dataset}, {first.backbone}",
        dataset=first.dataset,
        backbone=first.backbone,
        verdict=verdict(main, roles),
        headlines=headlines,
        tested=max(tested),
        seeds=max(map(len, arms.values())),
        sees_gaze=sorted(table.sees_gaze & arms.keys()),
        control=table.control,
        meaning=MEANING[metric],
        in_sentence=in_sentence,
        least_seeds=LEAST_SEEDS,
        roles=roles,
        missing=found.missing,
        charts=[(one.asked, means_svg(one, roles, f"top-{one.task}")) for one in headlines],
        parts=[part_view(table, runs, one, f"part{n}", comparison) for n, one in enumerate(sections)],
        curve=curve_svg(found.curve, first.dataset, metric),
        sweeps=sweeps_svg(table, first, comparison, metric),
        alignments=alignment_views(shown_runs(arms, roles)),
        pictured=pictured(arms, roles, metric, main.task if main else TASKS[0], count, named),
        settings=[setting(comparison, arm, seeds, output) for arm, seeds in arms.items()],
        cost=cost_cells(own),
        command=found.command,
        versions=package_versions(),
    )


def means_svg(one: Headline, roles: Roles, name: str) -> Markup:
    """Return the chart of the headline score of every arm."""
    means = [Mean(arm, roles.of(arm), estimate) for arm, estimate in one.means.items()]
    axis = MEANING[one.metric].axis
    with_intervals = any("[" in str(mean) for mean in means)
    interval = " The numbers in brackets are 95 % intervals over sessions." if with_intervals else ""
    figure = means_chart(means, axis)
    return inline_svg(figure, name, f"Each arm: {axis}, {one.task}", "; ".join(map(str, means)) + "." + interval)


def part_view(table: Table, runs: Sequence[Run], section: Section, name: str, comparison: Comparison) -> PartView:
    """Return the results of one backbone on one data set."""
    own = [run for run in runs if Section(run.dataset, run.trained_on, run.backbone) == section]
    arms = by_arm(own)
    roles, metric = roles_of(arms, comparison), headline_metric(own)
    tasks = []
    for task in SPLIT_TASKS:
        clips, sessions = table.tested[section.dataset, task]
        if not clips:
            continue
        rows = table.of(section.dataset, section.backbone, task, section.trained_on)
        one = headline(arms, rows, task, metric, comparison.reach_s)
        slug = f"{name}-{task.replace('/', '-')}"
        tasks.append(
            TaskView(
                slug,
                TITLES[task].format(reach_s=comparison.reach_s),
                clips,
                sessions,
                means_svg(one, roles, f"chart-{slug}") if one.means and task not in TASKS else None,
                group_tables(table, section, task),
            )
        )
    return PartView(name, f"{section.backbone}, {section.tested}", tasks)


def curve_svg(curve: Sequence[CurvePoint], dataset: str, metric: str) -> Markup | None:
    """Return the data-size curve; None where there is none."""
    if not curve:
        return None
    said = [f"{point.arm}, {point.task}, {point.train_clips:,} clips: {100 * point.mean.mean:.1f}" for point in curve]
    figure = curve_figure(curve, f"{SCORES[metric].title} on {dataset}")
    return inline_svg(figure, "curve", "Score over the number of train clips", "; ".join(said))


def sweeps_svg(table: Table, section: Section, comparison: Comparison, metric: str) -> Markup | None:
    """Return the sweeps of a comparison; None where there are none."""
    found = sweep_gains(table, section, comparison.sweeps, metric)
    if not found:
        return None
    figure = sweeps_figure(found, compared_with(comparison), metric)
    return inline_svg(figure, "sweeps", "Gain over the control, along a number", in_words(found))


def setting(comparison: Comparison, arm: str, seeds: Mapping[int, Run], output: Path) -> Setting:
    """Return what an arm is, and its runs as links relative to the page."""
    runs = [
        (str(seed), quote(Path(os.path.relpath(run.directory.predictions, output.parent)).as_posix()))
        for seed, run in sorted(seeds.items())
    ]

    def each(values: Sequence[str]) -> str:
        return " / ".join(dict.fromkeys(values))

    return Setting(
        arm,
        " ".join(filter(None, map(words_of, comparison.arm_files(arm)))),
        each([DASH if run.weight is None else f"{run.weight:g}" for run in seeds.values()]),
        each([DASH if run.floor is None else f"{run.floor:g}" for run in seeds.values()]),
        each([f"{run.train_clips:,}" for run in seeds.values()]),
        runs,
    )


def words_of(config: Path) -> str:
    """Return what an arm's YAML says of it: the comment behind that of its command."""
    lines = locate_config(config).read_text(encoding="utf-8").splitlines()
    comment = [line.lstrip("#").strip() for line in lines[: next((i for i, x in enumerate(lines) if x[:1] != "#"), 0)]]
    return " ".join(comment[1:]).strip()
