"""The contact sheet: a dozen sessions at a glance, with gaze and action."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gaze_vlm.kitchen.scene import FRAME_HEIGHT_PX, FRAME_WIDTH_PX, Rates
from gaze_vlm.kitchen.session import Session, simulate_session
from gaze_vlm.output import draft_of, writing

SESSIONS = 12
FRAMES = 4
SHARES = (0.35, 0.75, 0.4, 0.65)
"""How far into its action each frame is taken."""
GAZE_WINDOW_S = 0.2
ENLARGEMENT = 3
ROW_IN, COLUMN_IN, HEADER_IN = 2.0, 8.8, 0.6
SEEN, HIDDEN, INK, PAPER = "#ff2fd0", "#ffe600", "#1d1f24", "#f6f4ef"


def write_sheet(path: Path, sessions: Sequence[tuple[int, int]], seed: int, rates: Rates) -> None:
    """Draw four frames of up to twelve (participant, recipe) sessions, spread over all."""
    chosen = np.unique(np.linspace(0, len(sessions) - 1, min(SESSIONS, len(sessions))).round().astype(int))
    columns = 2 if len(chosen) > 1 else 1
    rows = -(-len(chosen) // columns)
    height_in = rows * ROW_IN + HEADER_IN
    figure = Figure(figsize=(columns * COLUMN_IN, height_in), facecolor=PAPER)
    grid = figure.add_gridspec(
        rows,
        columns * (FRAMES + 1) - 1,
        width_ratios=([1.0] * FRAMES + [0.1]) * (columns - 1) + [1.0] * FRAMES,
        left=0.012,
        right=0.988,
        bottom=0.012,
        top=1 - (HEADER_IN + 0.35) / height_in,
        wspace=0.05,
        hspace=0.3,
    )
    for place, index in enumerate(chosen):
        participant, recipe = sessions[index]
        session = simulate_session(seed, participant, recipe, rates=rates)
        for nth, t_s in enumerate(_moments(session)):
            axes = figure.add_subplot(grid[place % rows, place // rows * (FRAMES + 1) + nth])
            _draw(axes, session, t_s)
            if nth == 0:
                axes.text(0, 1.15, session.name, fontsize=9, fontweight="bold", color=INK, transform=axes.transAxes)
    _head(figure, 1 - HEADER_IN / 2 / height_in)
    with draft_of(path) as draft, writing(path):
        figure.savefig(draft, dpi=100, format="png")


def _head(figure: Figure, y: float) -> None:
    figure.text(0.012, y, "The kitchen", fontsize=15, fontweight="bold", color=INK, va="center")
    legend = ((SEEN, "its object is in view"), (HIDDEN, "its object is behind what passes by"))
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="", markeredgecolor="#888888", label=label)
        for colour, label in legend
    ]
    figure.legend(
        handles=handles,
        title="Gaze of the last 0.2 s",
        loc="upper right",
        ncols=2,
        frameon=False,
        labelcolor=INK,
        fontsize=10,
        bbox_to_anchor=(0.995, 1.0),
    )


def _moments(session: Session) -> list[float]:
    """Times in four actions spread over the session; the nearest gives way to one with hidden gaze, if any."""
    starts = session.scene.script.action_start_s
    actions = np.linspace(0, len(session.actions) - 1, FRAMES).round().astype(int)
    moments = starts[actions] + np.array(SHARES) * (starts[actions + 1] - starts[actions])
    hidden = session.gaze.t_s[session.gaze.hidden]
    if len(hidden):
        moment = hidden[len(hidden) // 2]
        moments[np.argmin(np.abs(moments - moment))] = moment
    return np.sort(moments).tolist()


def _draw(axes: Axes, session: Session, t_s: float) -> None:
    frame_hz = session.scene.rates.frame_hz
    index = int(t_s * frame_hz)
    now_s = index / frame_hz
    axes.imshow(_enlarged(session.scene.frame(index)))
    track = session.gaze
    recent = (track.t_s > now_s - GAZE_WINDOW_S) & (track.t_s <= now_s) & np.any(track.xy != 0, axis=1)
    x, y = (track.xy[recent] * (FRAME_WIDTH_PX, FRAME_HEIGHT_PX) * ENLARGEMENT).T
    colours = np.where(track.hidden[recent], HIDDEN, SEEN)
    axes.scatter(x, y, s=20, c=colours, edgecolors="white", linewidths=0.7, zorder=2)
    axes.set(xlim=(0, FRAME_WIDTH_PX * ENLARGEMENT), ylim=(FRAME_HEIGHT_PX * ENLARGEMENT, 0))
    axes.axis("off")
    _, _, verb, noun = session.actions[max(session.scene.script.action_at(now_s), 0)]
    action = f"{now_s:.1f} s   {verb.lower()} {noun.replace('_', ' ')}"
    axes.set_title(action, loc="left", fontsize=8.5, color=INK, pad=3, y=1.0)


def _enlarged(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "tall wide 3"]:
    return cv2.resize(image, None, fx=ENLARGEMENT, fy=ENLARGEMENT, interpolation=cv2.INTER_CUBIC)
