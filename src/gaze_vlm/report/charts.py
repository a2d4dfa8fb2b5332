"""Charts of a page: matplotlib's SVG, in the page's own colours and fonts, with a text for who cannot see it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from math import isnan

import numpy as np
from jaxtyping import Float
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from gaze_vlm.comparison.statistics import Estimate
from gaze_vlm.foreign_text import visible
from gaze_vlm.gaze.overlay import heat

ACCENT, INK, PAPER, MUTED, LINE = "#a3195b", "#000000", "#ffffff", "#5b6770", "#e6e6e6"
THEME = {ACCENT: "--accent", INK: "--text", PAPER: "--page", MUTED: "--muted", LINE: "--line"}
CSS_DPI = 96
GREY = 0.7  # of the faded frames, on average


@dataclass(frozen=True)
class Mean:
    """Mean of an arm with its interval, in the unit of the axis.

    `role` is treatment, control or nothing.
    """

    arm: str
    role: str
    estimate: Estimate

    def __str__(self) -> str:
        low, high = self.estimate.low, self.estimate.high
        interval = "" if isnan(low) else f" [{low:.1f}, {high:.1f}]"
        return f"{self.arm} {self.estimate.mean:.1f}{interval}"


def inline_svg(figure: Figure, name: str, title: str, description: str) -> Markup:
    """Return a figure as SVG to stand within HTML.

    Args:
        figure: drawn in the colours of `THEME` where these shall follow the page's, light or dark.
        name: of one chart of a page alone; it keeps the ids of several charts apart.
        title: what a screen reader calls it.
        description: what it shows, in words.
    """
    stream = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "gaze", "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'style="[^"]*"', lambda style: _themed(style[0]), text)
    size = re.search(r'viewBox="[^"]*"', text)
    assert size is not None
    width_px = round(figure.get_figwidth() * CSS_DPI)
    described = 'role="img" aria-labelledby="{name}-title" aria-describedby="{name}-text"'
    opening = Markup('<svg {} width="{width}" ' + described + ">").format(Markup(size[0]), name=name, width=width_px)
    words = Markup('<title id="{name}-title">{}</title><desc id="{name}-text">{}</desc>').format(
        visible(title), visible(description), name=name
    )
    return opening + words + Markup(text[text.index(">") + 1 :])


def _themed(style: str) -> str:
    """A style with the page's colours and font."""
    for colour, variable in THEME.items():
        style = style.replace(colour, f"var({variable})")
    return re.sub(r'font-family: [^;"]*', "font-family: inherit", style)


def means_chart(means: Sequence[Mean], unit: str) -> Figure:
    """Draw a line an arm: its mean with its interval, the control's mean as a line through all."""
    figure = Figure(figsize=(4.4, 0.5 + 0.29 * len(means)), layout="constrained")
    axis = figure.subplots()
    for row, one in enumerate(means):
        estimate, colour = one.estimate, ACCENT if one.role == "treatment" else INK
        if not isnan(estimate.low):
            axis.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        marker = {"treatment": "D", "control": "s"}.get(one.role, "o")
        axis.plot(estimate.mean, row, marker=marker, markersize=7, color=colour)
        right = estimate.mean if isnan(estimate.high) else estimate.high
        axis.annotate(
            f"{estimate.mean:.1f}",
            (right, row),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=10,
        )
        if one.role == "control":
            axis.axvline(estimate.mean, color=MUTED, linewidth=1, linestyle=(0, (3, 3)), zorder=0)
    axis.set_yticks(range(len(means)), [visible(one.arm) for one in means], fontsize=10, parse_math=False)
    axis.set_ylim(len(means) - 0.5, -0.5)
    axis.margins(x=0.12)
    axis.set_xlim(left=0)
    axis.set_xlabel(unit, fontsize=9, color=MUTED)
    axis.tick_params(length=0, labelsize=10)
    axis.tick_params(axis="x", labelsize=9, labelcolor=MUTED)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(LINE)
    return figure


def scale_ticks(norm: Normalize) -> list[int]:
    """Return the ticks of a scale of multiples of the uniform distribution."""
    return [tick for tick in (0, 1, 3, 10, 30, 100, 300) if tick <= (norm.vmax or 0)]


def upon_grey(colours: Float[np.ndarray, "colour rgba"]) -> Float[np.ndarray, "colour rgb"]:
    """Return colours as they look upon a frame in grey, on average."""
    return colours[:, 3:] * colours[:, :3] + (1 - colours[:, 3:]) * GREY


def scale_bar(norm: Normalize) -> Figure:
    """Draw the one scale of all attention and gaze maps, as it looks upon a grey frame."""
    figure = Figure(figsize=(3.6, 0.5), layout="constrained")
    axis = figure.subplots()
    highest = norm.vmax or 1.0
    steps = np.linspace(0, highest, 256)
    axis.imshow(upon_grey(heat(np.asarray(norm(steps))))[None], extent=(0, highest, 0, 1), aspect="auto")
    axis.set_xscale("function", functions=(np.sqrt, np.square))
    ticks = scale_ticks(norm)
    axis.set_xticks(ticks, [f"{tick}×" for tick in ticks], fontsize=9)
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    return figure
