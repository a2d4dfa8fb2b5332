"""Arms that differ in one number, as a picture: what they gain over their control, along that number."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import NamedTuple

from matplotlib.figure import Figure

from gaze_vlm.comparison.cell_tables import Section
from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.curve import COLOURS, MARKERS
from gaze_vlm.comparison.table import Table
from gaze_vlm.foreign_text import visible
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.runs.prediction import TASKS


class Gain(NamedTuple):
    """What the arm with a number gains over its control, in points of a hundred.

    NaN where there is no interval.
    """

    number: float
    gain: float
    low: float
    high: float


def sweep_gains(
    table: Table, section: Section, sweeps: Mapping[str, Mapping[str, float]], metric: str
) -> dict[str, dict[str, list[Gain]]]:
    """Return the gains of arms along their numbers: sweep → task → gains.

    The control's own is 0. An arm that was not run is left out, and so is a sweep with fewer than two.

    Args:
        table: of the runs.
        section: the backbone and data sets.
        sweeps: name of each → arm → its number.
        metric: a score.
    """
    found: dict[str, dict[str, list[Gain]]] = {}
    for name, sweep in sweeps.items():
        for task in TASKS:
            arms = table.of(section.dataset, section.backbone, task, section.trained_on)
            rows = [(number, arms[arm][metric]) for arm, number in sweep.items() if metric in arms.get(arm, {})]
            gains = [Gain(x, r.diff, r.diff_low, r.diff_high) if r.control else Gain(x, 0, 0, 0) for x, r in rows]
            found.setdefault(name, {})[task] = sorted(one for one in gains if not isnan(one.gain))
    return {name: tasks for name, tasks in found.items() if max(map(len, tasks.values())) > 1}


def compared_with(comparison: Comparison) -> str:
    """Name what the arms of the sweeps are compared with."""
    swept = {arm for sweep in comparison.sweeps.values() for arm in sweep}
    return "their controls" if swept & comparison.controls.keys() else comparison.control


def sweeps_figure(found: Mapping[str, Mapping[str, Sequence[Gain]]], control: str, metric: str) -> Figure:
    """Draw gains over the control, a panel a sweep and a line a task.

    The numbers stand equally far apart. Bars are 95 % intervals over sessions.
    """
    figure = Figure(figsize=(1 + 3.6 * len(found), 3.6), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for panel, (name, tasks) in zip(panels, found.items(), strict=True):
        numbers = sorted({one.number for gains in tasks.values() for one in gains})
        panel.axhline(0, color=COLOURS[0], linewidth=1)
        for index, (task, gains) in enumerate(tasks.items()):
            panel.errorbar(
                [numbers.index(one.number) + 0.08 * (index - 0.5) for one in gains],
                [one.gain for one in gains],
                yerr=[[one.gain - one.low for one in gains], [one.high - one.gain for one in gains]],
                color=COLOURS[index + 1],
                marker=MARKERS[index],
                markersize=5,
                linewidth=1.5,
                elinewidth=1,
                capsize=2,
                label=task,
            )
        panel.set_xticks(range(len(numbers)), [f"{number:g}" for number in numbers])
        panel.set_xlabel(visible(name), parse_math=False)
        panel.grid(axis="y", color="#e6e6e6", linewidth=0.8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(visible(f"{SCORES[metric].title.lower()}, over {control} (points)"), parse_math=False)
    panels[-1].legend(frameon=False, fontsize=9)
    return figure


def in_words(found: Mapping[str, Mapping[str, Sequence[Gain]]]) -> str:
    """Return what the picture shows, for who cannot see it."""
    return "; ".join(
        f"{name}, {task}: " + ", ".join(f"{one.number:g}: {one.gain:+.1f}" for one in gains)
        for name, tasks in found.items()
        for task, gains in tasks.items()
    )
