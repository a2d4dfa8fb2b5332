"""The contact sheet of a store: frames, their gaze points and the mixture that a training makes of them."""

from pathlib import Path

import numpy as np
from einops import rearrange
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gaze_vlm.datamodules.gaze_options import GazeOptions
from gaze_vlm.formats.video import frames_at
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.gaze.view import Grid, View
from gaze_vlm.preparation.store import Store
from gaze_vlm.preparation.video_gaze import VideoGaze

HEAT_CELLS = 96
MIN_MASS_IN_VIEW = 1e-3  # of the mixture's mass; a frame without points has none
LONG_SIDE_PX = 480
COLOURS, OPACITY = "autumn", 0.7
LEGEND_IN = 1.1


def draw_sheet(
    store: Store,
    root: Path | None,
    videos: int,
    frames: int,
    seed: int,
    options: GazeOptions = GazeOptions(),  # noqa: B008
) -> Figure:
    """Draw a row a video, in the order of their names.

    Frames of a video are far apart, those with occluded points first.

    Args:
        store: the prepared data set.
        root: folder of the raw videos, if they have moved.
        videos: rows, at most as many as the store has.
        frames: columns.
        seed: draws the videos.
        options: how points become a mixture.
    """
    ids = sorted(store.manifest.videos)
    drawn = sorted(np.random.default_rng(seed).permutation(len(ids))[:videos])
    figure = Figure(figsize=(3.2 * frames, 2.6 * len(drawn) + LEGEND_IN), layout="constrained")
    axes = figure.subplots(len(drawn), frames, squeeze=False)
    for row, index in zip(axes, drawn, strict=True):
        video_id = ids[index]
        gaze, entry = store.video(video_id), store.manifest.videos[video_id]
        chosen = worth_showing(gaze, frames)
        width = min(LONG_SIDE_PX, round(LONG_SIDE_PX * entry.aspect))
        images = frames_at(
            store.video_path(video_id, root), gaze.frame_pts[chosen].tolist(), width, round(width / entry.aspect)
        )
        for axis in row[len(chosen) :]:
            axis.set_axis_off()
        for axis, frame, image in zip(row, chosen, images, strict=False):
            axis.set(xticks=[], yticks=[])
            draw_frame(axis, image, gaze, int(frame), entry.aspect, options)
            label(axis, f"{video_id}, {gaze.frame_t_s[frame]:g} s")
    add_legend(figure, axes)
    return figure


def add_legend(figure: Figure, axes: np.ndarray) -> None:
    """Say what the marks are, and show the one scale of the mixture's colours."""
    marks = [
        Line2D([], [], linestyle="", marker="o", color="magenta", label="point that counts"),
        Line2D([], [], linestyle="", marker="x", color="yellow", label="occluded point"),
        Line2D([], [], color="white", label="from where it was looked at"),
    ]
    columns = min(3, axes.shape[1])
    figure.legend(
        handles=marks, loc="outside lower center", ncols=columns, fontsize=8, facecolor="0.35", labelcolor="white"
    )
    scale = ScalarMappable(Normalize(0, 100), COLOURS)
    bar = figure.colorbar(scale, ax=axes, location="bottom", shrink=0.6, aspect=40, format="%g %%")
    bar.set_label("gaze mixture, as a share of its\nhighest possible value (all points in one place)", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def label(axis: Axes, text: str) -> None:
    """Write a text in the top left corner of a frame."""
    box = {"facecolor": "black", "alpha": 0.6, "pad": 2, "edgecolor": "none"}
    axis.text(
        *(0.01, 0.98), text, transform=axis.transAxes, va="top", fontsize=8, color="white", bbox=box, parse_math=False
    )


def highest_mass(sigma: float, aspect: float, cells: int) -> float:
    """Return the mass of a cell around the centre where all points lie.

    `sigma` is in frame widths.
    """
    return min(1.0, 1 / (2 * np.pi * sigma**2 * aspect * cells))


def worth_showing(gaze: VideoGaze, count: int) -> np.ndarray:
    """Choose up to `count` frames that can be decoded, one of each stretch.

    It is the one with most points to see, where an occluded one counts double.
    """
    tracked = gaze.event <= GazeEvent.UNKNOWN
    occluded = tracked & ~np.isclose(gaze.error, 0) & (gaze.error > GazeOptions().epsilon)
    worth = tracked.sum(axis=1) + occluded.sum(axis=1)
    stretches = [part for part in np.array_split(np.flatnonzero(~gaze.damaged), count) if len(part)]
    return np.array([part[np.argmax(worth[part])] for part in stretches])


def draw_frame(axis: Axes, image: np.ndarray, gaze: VideoGaze, frame: int, aspect: float, options: GazeOptions) -> None:
    """Draw a frame with its mixture, counted points as dots, others as crosses."""
    height, width = image.shape[:2]
    size = np.array([width, height])
    axis.imshow(image)
    mixture = options.mixture(gaze, slice(frame, frame + 1), aspect)
    grid = Grid(max(1, round(HEAT_CELLS / aspect)), HEAT_CELLS)
    heat, valid = mixture.on(grid, View(), MIN_MASS_IN_VIEW)
    if valid[0]:
        cells = rearrange(heat[0].numpy(), "(row column) -> row column", row=grid.rows)
        share = np.clip(cells / highest_mass(options.sigma, aspect, len(grid)), 0, 1)
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        opacity = OPACITY * np.sqrt(share)
        axis.imshow(share, extent=extent, cmap=COLOURS, vmin=0, vmax=1, alpha=opacity, interpolation="bilinear")
    tracked = gaze.event[frame] <= GazeEvent.UNKNOWN
    counts = mixture.weight[0].numpy() > 0
    carried, looked_at = gaze.xy[frame] * size - 0.5, gaze.raw_xy[frame] * size - 0.5
    for point in np.flatnonzero(tracked):
        axis.plot(*np.stack([looked_at[point], carried[point]]).T, color="white", linewidth=0.6, alpha=0.8)
    for points, marker, colour in ((tracked & counts, "o", "magenta"), (tracked & ~counts, "x", "yellow")):
        axis.scatter(carried[points, 0], carried[points, 1], s=7, marker=marker, color=colour, linewidth=0.7)
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)
