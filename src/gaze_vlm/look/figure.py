"""The figure of `gaze-vlm look`: chosen layers, heads and tokens on one scale, for a paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from einops import rearrange
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from gaze_vlm.errors import InputError
from gaze_vlm.foreign_text import visible
from gaze_vlm.gaze.overlay import density, heat, one_scale, resized, with_density
from gaze_vlm.look.gaze_points import points_of
from gaze_vlm.look.kept_maps import MEAN, TITLES, SourceMaps
from gaze_vlm.look.watched_clip import WatchedClip
from gaze_vlm.report.charts import scale_ticks, upon_grey

PANEL_IN, PANEL_PX = 1.7, 512  # width of a panel
MOST_PANELS = 400


@dataclass(frozen=True)
class MapRow:
    """A map to draw, of some token of the answer; indices as in `SourceMaps`."""

    maps: SourceMaps
    layer: int
    head: int
    token: int


def rows_of(
    clip: WatchedClip, layers: Sequence[int] | None, heads: Sequence[int] | None, tokens: Sequence[int] | None
) -> list[MapRow]:
    """Return a row for each source, layer, head and token that is chosen; where none is, for their mean.

    Args:
        clip: what is shown.
        layers: their numbers in the model; None is their mean, or all of them if heads are chosen.
        heads: their numbers; None is their mean.
        tokens: of the answer, from 1; None is their mean.

    Raises:
        InputError: a token that the answer does not have, no map to draw, or too many.
    """
    for token in tokens or ():
        if not 1 <= token <= len(clip.tokens):
            raise InputError(f"tokens {token}: the answer has {len(clip.tokens)}, counted from 1: {clip.tokens}")
    rows = []
    for maps in (one for one in clip.sources if one.grid is not None):
        places = [MEAN] if layers is None and heads is None else range(1, len(maps.layers) + 1)
        of_layer = [MEAN] if heads is None else [head + 1 for head in heads]
        of_answer = [MEAN] if tokens is None or maps.source != "language" else tokens
        rows += [MapRow(maps, *chosen) for chosen in product(places, of_layer, of_answer)]
    if not rows:
        raise InputError("there is no map to draw: the language model reads no patches; add other sources")
    panels = len(rows) * len(clip.frames)
    if panels > MOST_PANELS:
        raise InputError(f"the figure has {panels} panels, more than {MOST_PANELS}: choose fewer layers or tokens")
    return rows


def draw_look(clip: WatchedClip, rows: Sequence[MapRow]) -> Figure:
    """Draw a row for each map, a column for each frame; of one frame, the tokens stand in columns.

    Maps are multiples of the uniform distribution on their grid, on one scale.
    """
    in_columns = len(clip.frames) == 1 and len({row.token for row in rows}) > 1
    columns = len({row.token for row in rows}) if in_columns else len(clip.frames)
    height, width = clip.frames.shape[-2:]
    lines = len(rows) // columns if in_columns else len(rows)
    size = columns * PANEL_IN + 1.6, lines * (PANEL_IN * height / width + 0.35) + 0.5
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    maps = [densities(row) for row in rows]
    norm = one_scale(map_ for of_row in maps for map_ in of_row)
    for number, (row, of_row) in enumerate(zip(rows, maps, strict=True)):
        line = axes[number // columns, number % columns :][:1] if in_columns else axes[number]
        for frame, axis in enumerate(line):
            show_map(axis, clip, frame, row, of_row[frame // clip.frames_per_group], norm)
        if not in_columns or number % columns == 0:
            line[0].set_ylabel(label(clip, row, in_columns), fontsize=8, parse_math=False)
        if in_columns and number < columns:
            line[0].set_title(token_of(clip, row), fontsize=9, parse_math=False)
    if not in_columns:
        for axis, time_s in zip(axes[0], clip.times_s, strict=True):
            axis.set_title(f"{time_s:.2f} s", fontsize=9)
    colours = ListedColormap(upon_grey(heat(np.linspace(0, 1, 256))))
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, fraction=0.03, ticks=scale_ticks(norm))
    bar.set_label("attention of a patch, × uniform", fontsize=8)
    return figure


def densities(row: MapRow) -> list[Float[np.ndarray, "row column"]]:
    """Return the maps of a row, one a frame group, as multiples of the uniform distribution."""
    assert row.maps.grid is not None
    found = row.maps.maps(row.token, row.layer, row.head)
    return [density(one) for one in rearrange(found, "group (row column) -> group row column", row=row.maps.grid.rows)]


def show_map(
    axis: Axes, clip: WatchedClip, frame: int, row: MapRow, map_: Float[np.ndarray, "row column"], norm: Normalize
) -> None:
    """Show a frame in grey below a map, its gaze points as rings, and the share that it has."""
    image = resized(clip.frames[frame], PANEL_PX)
    axis.imshow(with_density(image, map_, clip.covered, norm))
    axis.set_xticks([])
    axis.set_yticks([])
    for x, y in [] if clip.gaze is None else points_of(clip.gaze.points, frame):
        at = x * image.shape[1] - 0.5, y * image.shape[0] - 0.5
        for colour, width in (("white", 2.4), ("magenta", 1.0)):
            axis.plot(*at, marker="o", ms=6, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=width)
    if row.maps.source == "language":
        share = row.maps.shares[row.token, row.layer, row.head, frame // clip.frames_per_group]
        axis.set_xlabel(f"{100 * share:.1f} % of the attention", fontsize=7)


def label(clip: WatchedClip, row: MapRow, without_token: bool) -> str:
    """Say which map a row has."""
    layer = "mean of layers" if row.layer == MEAN else f"layer {row.maps.layers[row.layer - 1]}"
    head = "mean of heads" if row.head == MEAN else f"head {row.head - 1}"
    token = [] if without_token or row.maps.source != "language" else [token_of(clip, row)]
    return "\n".join([TITLES[row.maps.source], f"{layer}, {head}", *token])


def token_of(clip: WatchedClip, row: MapRow) -> str:
    """Return the token of a row, quoted."""
    return "whole answer" if row.token == MEAN else f"“{visible(clip.tokens[row.token - 1].strip(), keep='')}”"
