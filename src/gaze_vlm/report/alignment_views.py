"""Which layers and heads look where the wearer looks: a heat map an arm, all on one scale, with its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from gaze_vlm.comparison.runs import Run
from gaze_vlm.report.alignment_figure import AROUND_CHANCE, CHANCE
from gaze_vlm.report.charts import INK, LINE, inline_svg
from gaze_vlm.runs.alignment import Alignment, read_alignment

SCORE = "auc"
CELL_IN, LARGEST_IN = 0.34, 7.0


@dataclass(frozen=True)
class AlignmentView:
    """How well the heads of one arm's attention match gaze.

    It is a map, what stands out in words, and every number.
    """

    arm: str
    words: str
    chart: Markup
    heads: tuple[int, ...]
    layers: tuple[tuple[int, tuple[str, ...]], ...]


def alignment_views(runs: Mapping[str, Run]) -> list[AlignmentView]:
    """Return a view an arm; those whose run has no alignment.json are left out.

    Args:
        runs: arm → the run that is shown.
    """
    files = {arm: run.directory.alignment for arm, run in runs.items()}
    found = {arm: read_alignment(file) for arm, file in files.items() if file.is_file()}
    reach = max((float(np.abs(one.scores[SCORE] - CHANCE[SCORE]).max()) for one in found.values()), default=0.0)
    return [_view(arm, one, max(reach, 0.05), f"alignment{n}") for n, (arm, one) in enumerate(found.items())]


def heat_map(alignment: Alignment, reach: float) -> Figure:
    """Draw layers down and heads across, with chance in white.

    The scale reaches as far on both sides of chance.
    """
    values = alignment.scores[SCORE]
    rows, columns = values.shape
    side = min(CELL_IN, LARGEST_IN / columns)
    figure = Figure(figsize=(side * columns + 1.7, max(1.0, side * rows + 0.65)), layout="constrained")
    axis = figure.subplots()
    low, high = CHANCE[SCORE] - reach, CHANCE[SCORE] + reach
    mesh = axis.pcolormesh(values, cmap=AROUND_CHANCE, edgecolors=LINE, linewidth=0.5, vmin=low, vmax=high)
    axis.invert_yaxis()
    axis.set_aspect("equal")
    for along, numbers, name in ((axis.xaxis, alignment.heads, "head"), (axis.yaxis, alignment.layers, "layer")):
        shown = range(0, len(numbers), max(1, len(numbers) // 12))
        along.set_ticks([index + 0.5 for index in shown], [str(numbers[index]) for index in shown], fontsize=8)
        along.set_label_text(name, fontsize=9)
        along.set_tick_params(length=0)
    axis.spines[:].set_visible(False)
    bar = figure.colorbar(mesh, ax=axis, fraction=0.1, pad=0.04)
    bar.ax.tick_params(labelsize=8)
    bar.ax.axhline(CHANCE[SCORE], color=INK, linewidth=1)
    bar.solids.set_rasterized(False)  # type: ignore[union-attr]
    return figure


def _view(arm: str, alignment: Alignment, reach: float, name: str) -> AlignmentView:
    values = alignment.scores[SCORE]
    layer, head = np.unravel_index(int(values.argmax()), values.shape)
    source = {"block": "the gaze block", "vision": "the vision tower", "language": "the language model"}
    words = (
        f"Attention of {source.get(alignment.source, alignment.source)}: mean {values.mean():.2f}; "
        f"highest {values.max():.2f}, layer {alignment.layers[layer]}, head {alignment.heads[head]}"
    )
    chart = inline_svg(heat_map(alignment, reach), name, f"AUC of each layer and head, arm {arm}", words)
    numbers = tuple(
        (number, tuple(f"{value:.2f}" for value in row)) for number, row in zip(alignment.layers, values, strict=True)
    )
    return AlignmentView(arm, words, chart, alignment.heads, numbers)
