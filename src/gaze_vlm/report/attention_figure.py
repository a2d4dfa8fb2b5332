"""The figure of `gaze-vlm attention`: a row a clip, with one scale for all distributions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.foreign_text import visible
from gaze_vlm.gaze.lettering import wrapped
from gaze_vlm.gaze.overlay import COLOURS, OPACITY, density, faded, one_scale
from gaze_vlm.gaze.view import View
from gaze_vlm.metrics.texts import exact_match
from gaze_vlm.report.charts import scale_ticks

PANEL_WIDTH_IN, PANEL_HEIGHT_IN = 3.1, 2.75
WRONG = "firebrick"
LINE_LENGTH = 42


@dataclass
class ClipAttention:
    """Attention of one run over some clips, and their gaze.

    `attention` (mean over heads) and `gaze` each sum to 1 over the patches; the grid covers `covered_view`.
    `valid` says whether the gaze of a frame group counts, which has `frames_per_group` frames.
    """

    arm: str
    run: Path
    attention: Float[np.ndarray, "clip group row column"]
    gaze: Float[np.ndarray, "clip group row column"]
    valid: Bool[np.ndarray, "clip group"]
    covered_view: View
    frames_per_group: int = 1

    def attention_at(self, clip: int, frame: int) -> Float[np.ndarray, "row column"]:
        """Return the density of a frame's attention, as a multiple of the uniform one."""
        return density(self.attention[clip, frame // self.frames_per_group])

    def gaze_at(self, clip: int, frame: int) -> Float[np.ndarray, "row column"] | None:
        """Return the density of a frame's gaze; None where it does not count."""
        group = frame // self.frames_per_group
        return density(self.gaze[clip, group]) if self.valid[clip, group] else None


def draw_attention(
    clips: Sequence[Clip], frame: int, attentions: Sequence[ClipAttention], answers: Sequence[Sequence[str]]
) -> Figure:
    """Draw a row a clip: gaze points, gaze on the grid, each run's attention and its answer.

    The grid is that of the first run. Distributions are shown as multiples of the uniform one, which is 1 in every
    patch of every grid.
    """
    titles = ["gaze points", "gaze distribution", *arm_titles(attentions)]
    figure = Figure(
        figsize=(PANEL_WIDTH_IN * len(titles) + 0.9, PANEL_HEIGHT_IN * len(clips) + 0.6), layout="constrained"
    )
    axes = figure.subplots(len(clips), len(titles), squeeze=False)
    first = attentions[0]
    frame %= len(clips[0].frame_times_s)
    gaze = [first.gaze_at(index, frame) for index in range(len(clips))]
    attention = [[one.attention_at(index, frame) for one in attentions] for index in range(len(clips))]
    norm = one_scale(map_ for map_ in (*gaze, *(m for maps in attention for m in maps)) if map_ is not None)
    for index, clip in enumerate(clips):
        points, distribution, *arms = axes[index]
        image = rearrange(clip.frames[frame].numpy(), "channel y x -> y x channel")  # type: ignore[index]
        show_points(points, image, clip, frame)
        points.set_ylabel(
            f"{visible(clip.clip_id)}\n{clip.frame_times_s[frame]:.1f} s into the clip", fontsize=8, parse_math=False
        )
        below(points, f"target: {clip.target}")
        show_frame(distribution, image, gaze[index], first.covered_view, norm)
        below(distribution, "" if gaze[index] is not None else "no valid gaze in this frame")
        for axis, one, map_, of_run in zip(arms, attentions, attention[index], answers, strict=True):
            answer = of_run[index]
            show_frame(axis, image, map_, one.covered_view, norm)
            below(axis, f"answer: {answer}", "black" if exact_match(answer, clip.target) else WRONG)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(visible(title), fontsize=12, parse_math=False)
    colours = ScalarMappable(norm, COLOURS)
    bar = figure.colorbar(colours, ax=axes, alpha=OPACITY, fraction=0.02, ticks=scale_ticks(norm))
    bar.ax.set_facecolor("0.5")  # what lies behind the colours in the panels, on average
    bar.set_label("mass of a patch, as a multiple of the uniform distribution's")
    figure.legend(handles=legend(), loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def arm_titles(attentions: Sequence[ClipAttention]) -> list[str]:
    """Return a title a run: its arm, and its directory where several share it."""
    runs = Counter(one.arm for one in attentions)
    return [f"arm {one.arm}" + (f"\n{one.run}" if runs[one.arm] > 1 else "") for one in attentions]


def legend() -> list[Line2D]:
    """Say what the marks and the colour of the answers mean."""
    dot = Line2D([], [], linestyle="", marker="o", markersize=6, markerfacecolor="magenta", markeredgecolor="white")
    dot.set_label("gaze point that counts")
    black, red = (Line2D([], [], linestyle="", marker="s", color=colour) for colour in ("black", WRONG))
    black.set_label("answer that equals the target text")
    red.set_label("answer that differs from it")
    return [dot, black, red]


def show_points(axis: Axes, image: np.ndarray, clip: Clip, frame: int) -> None:
    """Show the frame with the gaze points that count in it."""
    show_frame(axis, image)
    height, width = image.shape[:2]
    counted = clip.gaze.weight[frame] > 0
    x, y = (clip.gaze.xy[frame][counted] * torch.tensor([width, height]) - 0.5).T
    axis.scatter(x, y, s=28, facecolor="magenta", edgecolor="white", linewidth=0.8)


def show_frame(
    axis: Axes,
    image: np.ndarray,
    map_: Float[np.ndarray, "row column"] | None = None,
    covered: View = View(),  # noqa: B008 (frozen)
    norm: Normalize | None = None,
) -> None:
    """Show a frame in colour, or in grey below a map's colours.

    The map lies on the part of the frame that is covered.
    """
    height, width = image.shape[:2]
    if map_ is None or norm is None:
        axis.imshow(image)
    else:
        axis.imshow(faded(image), vmin=0, vmax=1)
        left, right = covered.left * width - 0.5, covered.right * width - 0.5
        top, bottom = covered.top * height - 0.5, covered.bottom * height - 0.5
        axis.imshow(map_, extent=(left, right, bottom, top), cmap=COLOURS, norm=norm, alpha=OPACITY)
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)
    axis.set_xticks([])
    axis.set_yticks([])


def below(axis: Axes, text: str, colour: str = "black") -> None:
    """Write a text under a panel, in lines that fit its width."""
    axis.set_xlabel("\n".join(wrapped(visible(text), LINE_LENGTH)), fontsize=9, color=colour, parse_math=False)
