"""The figure of `gaze-vlm alignment`: layer × head, a row a score and a column a run, with one scale a row."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from gaze_vlm.foreign_text import visible
from gaze_vlm.runs.alignment import Alignment

TITLES = {"nss": "NSS", "auc": "AUC", "kl": "KL in nats (less is better)"}
CHANCE = {"nss": 0.0, "auc": 0.5}  # a KL has none
AROUND_CHANCE = "RdBu_r"  # colours, white at chance
MOST_NUMBERED = 64  # cells of a map that have their value written in
MOST_TICKS = 16
CELL_IN, MOST_IN = 0.45, 6.0  # sides of a cell, and the longest of a map
LEAST_WIDTH_IN, LEAST_HEIGHT_IN = 2.2, 1.0  # of a map


def draw_alignment(aligned: Mapping[str, Alignment]) -> Figure:
    """Draw the scores of each head of each layer of some runs, by their titles.

    Red is better than chance and blue worse, on a scale that reaches as far on either side; a KL is the darker, the
    smaller.
    """
    widths_in = [side_in(one.heads, LEAST_WIDTH_IN) for one in aligned.values()]
    height_in = max(side_in(one.layers, LEAST_HEIGHT_IN) for one in aligned.values())
    size_in = sum(widths_in) + 0.8 * len(aligned) + 1.2, len(TITLES) * (height_in + 0.7) + 0.5
    figure = Figure(figsize=size_in, layout="constrained")
    axes = figure.subplots(len(TITLES), len(aligned), squeeze=False, width_ratios=widths_in)
    for row, (score, title) in zip(axes, TITLES.items(), strict=True):
        colours = score_scale(score, [one.scores[score] for one in aligned.values()])
        for axis, one in zip(row, aligned.values(), strict=True):
            show_heads(axis, one, score, colours)
        bar = figure.colorbar(colours, ax=row, fraction=0.05)
        bar.set_label(title)
        if score in CHANCE:
            bar.ax.axhline(CHANCE[score], color="black", linewidth=1)
    for axis, (title, one) in zip(axes[0], aligned.items(), strict=True):
        axis.set_title(
            f"{visible(title)}\n{visible(one.source)}, {one.frames['kl']:,} frames", fontsize=10, parse_math=False
        )
    return figure


def score_scale(score: str, maps: Sequence[Float[np.ndarray, "_layer _head"]]) -> ScalarMappable:
    """Return one scale for the maps of a score."""
    values = np.concatenate([map_.ravel() for map_ in maps])
    if score not in CHANCE:
        return ScalarMappable(Normalize(values.min(), values.max()), "viridis")
    chance = CHANCE[score]
    reach = np.abs(values - chance).max() or 1.0
    return ScalarMappable(Normalize(chance - reach, chance + reach), AROUND_CHANCE)


def show_heads(axis: Axes, one: Alignment, score: str, colours: ScalarMappable) -> None:
    """Show a score of each head of each layer, with its value where there is room."""
    values = one.scores[score]
    axis.imshow(values, cmap=colours.cmap, norm=colours.norm, aspect="auto")  # type: ignore[arg-type]
    axis.set_xlabel("head")
    axis.set_ylabel("layer")
    axis.set_xticks(*ticks(one.heads))
    axis.set_yticks(*ticks(one.layers))
    if values.size > MOST_NUMBERED:
        return
    for (layer, head), value in np.ndenumerate(values):
        luma = colours.to_rgba(value)[:3] @ np.array([0.299, 0.587, 0.114])
        ink = "white" if luma < 0.5 else "black"
        axis.text(head, layer, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)


def ticks(numbers: Sequence[int]) -> tuple[list[int], list[str]]:
    """Return places and labels of some of the numbers, evenly spaced."""
    every = -(-len(numbers) // MOST_TICKS)
    return [*range(0, len(numbers), every)], [str(number) for number in numbers[::every]]


def side_in(numbers: Sequence[int], least_in: float) -> float:
    """Return the side of a map of so many cells, in inches."""
    return min(max(CELL_IN * len(numbers), least_in), MOST_IN)
