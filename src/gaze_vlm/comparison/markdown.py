"""The table for readers: one Markdown page of a comparison."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from gaze_vlm.comparison.cell_tables import (
    SEES_GAZE_NOTE,
    TITLES,
    CellTable,
    Emphasised,
    Section,
    cost_cells,
    curve_cells,
    overview_cells,
    score_cells,
    sections_of,
)
from gaze_vlm.comparison.contamination import Overlap
from gaze_vlm.comparison.curve import CurvePoint
from gaze_vlm.comparison.groups import SPLIT_TASKS
from gaze_vlm.comparison.missing import Missing, notice
from gaze_vlm.comparison.published import published_cells
from gaze_vlm.comparison.runs import Run, by_arm
from gaze_vlm.comparison.statistics import LEAST_SEEDS, LEAST_SESSIONS
from gaze_vlm.comparison.table import Table
from gaze_vlm.foreign_text import as_code, in_markdown
from gaze_vlm.metrics.scores import DASH, SCORES
from gaze_vlm.runs.prediction import TASKS

PACKAGES = (
    "gaze-vlm-lightning",
    "torch",
    "lightning",
    "transformers",
    "torchmetrics",
    "sentence-transformers",
)
ABSENT = (
    "- Noun: the first noun that the answer names is the target's. Noun anywhere: it names the target's noun at all. "
    "CHAIRs and CHAIRi, where less is better: the share of answers that name an object that nothing annotated around "
    "the clip has, and the share of such objects among all that are named."
)
PUBLISHED = "Measured on other data and models: compare the differences and their order, not the heights."


class Links(str):
    """A cell that is Markdown already."""


def package_versions() -> str:
    """Return the versions that a figure depends on, as one line."""
    return ", ".join(f"{package} {version(package)}" for package in PACKAGES)


def headline_metric(runs: Sequence[Run]) -> str:
    """Return noun accuracy where the data set labels nouns, else the semantic score."""
    labelled = any("noun" in prediction.scores for run in runs for prediction in run.predictions)
    return "noun" if labelled else "semantic"


def comparison_page(
    table: Table,
    runs: Sequence[Run],
    reach_s: float,
    command: str,
    versions: str,
    *,
    curve: Sequence[CurvePoint] = (),
    picture: str | None = None,
    missing: Sequence[Missing] = (),
    folder: Path = Path(),
    curve_runs: Sequence[Run] = (),
    shared: Mapping[tuple[str, str], Overlap] = MappingProxyType({}),
    sweeps: Mapping[Section, str] = MappingProxyType({}),
) -> str:
    """Return the page of a comparison as Markdown.

    It has facts, tables of each task, published figures, the curve, costs and the runs. Each data set that was tested
    on has a section of its own; the curve belongs to the first.

    Args:
        table: of the runs.
        runs: that the table was made of.
        reach_s: see `groups.future_group`.
        command: that makes this page again.
        versions: see `package_versions`.
        curve: points of the data-size curve; none leaves the section out.
        picture: file name of the curve's picture, relative to the page.
        missing: what is not among the runs because a command failed.
        folder: of the page; links to runs are relative to it.
        curve_runs: that the curve was made of.
        shared: what each test shares with a training, by data sets (tested, trained on); none where it is not known.
        sweeps: file name of a section's picture of sweeps, relative to the page; none where it has none.
    """
    lines = notice(missing)
    sections = sections_of(runs)
    for section in sections:
        of_test = [run for run in runs if (run.dataset, run.trained_on) == section[:2]]
        siblings = [one for one in sections if one[:2] == section[:2]]
        if len(siblings) > 1 and section == siblings[0]:
            lines += _overview(table, siblings, headline_metric(of_test))
        own = [run for run in of_test if run.backbone == section.backbone]
        title = in_markdown(f"{section.tested}, {section.backbone}")
        lines += [f"# {title}", "", *_facts(table, own, section, command, versions)]
        if (overlap := shared.get((section.dataset, section.trained_on))) is not None:
            lines.append(f"- Shared by the test and all clips to train on: {overlap} (docs/compare.md)")
        lines.append("")
        absent = [one for one in missing if _belongs(one, section, own[0].train_clips)]
        for task in SPLIT_TASKS:
            lines += _task(table, section, task, reach_s, absent)
        if section in sweeps:
            drawn = quote(sweeps[section])
            lines += ["## Sweeps", "", f"![What arms gain over the control, along a number]({drawn})", ""]
        if (published := published_cells(table, section)) is not None:
            lines += ["## Published figures", "", PUBLISHED, "", *_lines(published), ""]
        last_of_test = section == [one for one in sections if one[:2] == sections[0][:2]][-1]
        if curve and last_of_test:
            lines += _curve(curve, table.control, picture)
        lines += _runs(own, [run for run in curve_runs if last_of_test and run not in own], folder)
    return "\n".join(lines).rstrip() + "\n"


def _belongs(missing: Missing, section: Section, train_clips: int) -> bool:
    """Whether a missing result is one of a section's main table."""
    there = (missing.dataset, missing.run.dataset, missing.run.backbone) == tuple(section)
    return there and missing.run.train_clips in (None, train_clips)


def _overview(table: Table, sections: Sequence[Section], metric: str) -> list[str]:
    lines = [f"# {in_markdown(sections[0].tested)}: {len(sections)} backbones", ""]
    for task in TASKS:
        lines += [f"## {TITLES[task]}: {SCORES[metric].title.lower()}", ""]
        lines += [*_lines(overview_cells(table, sections, task, metric)), ""]
    return lines


def _facts(table: Table, runs: Sequence[Run], section: Section, command: str, versions: str) -> list[str]:
    arms = by_arm(runs)
    sizes = [(task, *table.tested[section.dataset, task]) for task in TASKS]
    tested = [f"{clips:,} clips of {sessions:,} sessions for the {task}" for task, clips, sessions in sizes if clips]
    return [
        f"- Command: {as_code(command)}",
        f"- Test: {', '.join(tested)}",
        f"- Seeds: {_by_arm(arms, lambda seeds: ', '.join(map(str, sorted(seeds))))}",
        f"- Train clips: {_by_arm(arms, lambda seeds: _setting(seeds, lambda run: f'{run.train_clips:,}'))}",
        f"- λ: {_by_arm(arms, lambda seeds: _setting(seeds, lambda run: _plain(run.weight)))}",
        f"- ε (floor): {_by_arm(arms, lambda seeds: _setting(seeds, lambda run: _plain(run.floor)))}",
        f"- Versions: {versions}",
        *([f"- {SEES_GAZE_NOTE}"] if not table.sees_gaze.isdisjoint(arms) else []),
        *([ABSENT] if any("noun_absent" in p.scores for run in runs for p in run.predictions) else []),
        "- Numbers are points of a hundred, mean over clips and seeds ± standard deviation over seeds; KL is "
        f"in nats. Differences are paired with {as_code(table.control)} on the same seeds and clips. The interval is a "
        "t interval clustered by session, seeds averaged first: it holds for these trained seeds. So does p, which is "
        "two-sided, of sign flips of whole sessions; Holm's correction is over the arms of one task and score. What "
        f"is said *with other seeds*, of {LEAST_SEEDS} seeds or more, holds for other seeds and other sessions. With "
        f"fewer than {LEAST_SESSIONS} sessions there is neither interval nor p (docs/scores.md).",
    ]


def _task(table: Table, section: Section, task: str, reach_s: float, missing: Sequence[Missing]) -> list[str]:
    clips, sessions = table.tested[section.dataset, task]
    lines = [f"## {TITLES[task].format(reach_s=reach_s)}", "", f"{clips:,} clips of {sessions:,} sessions.", ""]
    tables = score_cells(table, section, task, missing) if clips else []
    return lines + [line for cells in tables for line in (*_lines(cells), "")]


def _curve(curve: Sequence[CurvePoint], control: str, picture: str | None) -> list[str]:
    lines = ["## Data-size curve", ""]
    if picture:
        lines += [f"![{SCORES[curve[0].metric].title} over the number of train clips]({quote(picture)})", ""]
    return [*lines, *_lines(curve_cells(curve, control)), ""]


def _runs(runs: Sequence[Run], of_curve: Sequence[Run], folder: Path) -> list[str]:
    """The runs that the figures are of, and what they cost."""
    lines = ["## Runs", "", "Figures are means over an arm's runs, of the answers in their `predictions.jsonl`.", ""]
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run.arm, []).append(run)
    for run in of_curve:
        by_name.setdefault(f"{run.arm}, {run.train_clips:,} train clips", []).append(run)
    rows = [[name, Links(", ".join(_links(run, folder) for run in own))] for name, own in by_name.items()]
    lines += [*_lines(CellTable(["Arm", "Runs and their answers"], rows)), ""]
    cost = cost_cells(runs)
    return lines if cost is None else [*lines, "Train time is of the steps, mean over seeds.", "", *_lines(cost), ""]


def _links(run: Run, folder: Path) -> str:
    """A run's directory and its answers, as links from the page's folder."""
    directory, answers = (
        quote(os.path.relpath(path, folder)) for path in (run.directory.path, run.directory.predictions)
    )
    return f"[seed {run.seed}]({directory}) ([answers]({answers}){', resumed' if run.resumes else ''})"


def _lines(cells: CellTable) -> list[str]:
    rule = ["---", *("---:" for _ in cells.header[1:])]
    written = ([*map(_cell, row)] for row in cells.rows)
    return [f"| {' | '.join(row)} |" for row in ([*map(_cell, cells.header)], rule, *written)]


def _cell(text: str) -> str:
    if isinstance(text, Links):
        return text
    return f"*{in_markdown(text)}*" if isinstance(text, Emphasised) else in_markdown(text)


def _by_arm(arms: dict[str, dict[int, Run]], say: Callable[[dict[int, Run]], str]) -> str:
    """What holds for every arm, once where all agree."""
    said = {arm: say(seeds) for arm, seeds in arms.items()}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{in_markdown(arm)} {text}" for arm, text in said.items())


def _setting(seeds: dict[int, Run], say: Callable[[Run], str]) -> str:
    return " / ".join(dict.fromkeys(say(run) for run in seeds.values()))


def _plain(value: float | None) -> str:
    return DASH if value is None else f"{value:g}"
