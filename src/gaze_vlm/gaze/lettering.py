"""Texts drawn as images, to stand above and below frames."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from textwrap import wrap
from typing import Any
from unicodedata import east_asian_width

import matplotlib as mpl
import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from gaze_vlm.foreign_text import visible
from gaze_vlm.progress import say

LINE_PX, LETTER_PX = 24, 9.2  # height of a line, width of a letter at most; wide ones have two
DPI, FONT_PT = 100, 11
HALF = "\uffff"  # of a wide letter; no text has this one
WIDE_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans", "WenQuanYi Zen Hei", "Arial Unicode MS", "FreeSans")


def text_image(
    texts: Sequence[str], width_px: int, height_px: int, columns: int = 1
) -> UInt8[np.ndarray, "height width_px 3"]:
    """Draw texts in white on black, one below the other, or in columns.

    The height is made even. Letters that matplotlib's font lacks are taken from those of `WIDE_FONTS` that are
    installed; see `boxes_said`.
    """
    height_px += height_px % 2
    figure = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, facecolor="black")
    rows = max(1, len(texts) // columns)
    for index, text in enumerate(texts):
        row, column = divmod(index, columns)
        x, y = column / columns + 8 / width_px, 1 - (row + 0.5) / rows
        look: dict[str, Any] = {"color": "white", "fontsize": FONT_PT, "family": font_families(), "va": "center"}
        figure.text(x, y, visible(text), **look, parse_math=False)
    canvas = FigureCanvasAgg(figure)
    with boxes_said():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def wrapped(text: str, letters: int, first: str = "", others: str = "") -> list[str]:
    """Break a text into lines of so many letters, of which a wide one, as of Chinese, takes the room of two.

    Args:
        text: to be drawn.
        letters: of a line.
        first: what the first line begins with.
        others: what the others begin with.
    """
    halves = "".join(one + HALF if east_asian_width(one) in "WF" else one for one in text)
    lines = wrap(halves, letters, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
    return [line.replace(HALF, "") for line in lines]


def one_line(text: str, letters: int) -> str:
    """Return the first line of a text, see `wrapped`, with … where more follows."""
    lines = wrapped(text, letters - 1)
    return f"{lines[0]}…" if len(lines) > 1 else "".join(lines)


@contextmanager
def boxes_said() -> Iterator[None]:
    """Say once, in place of a warning a letter, that letters which no font has are drawn as boxes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", "Glyph")  # one for each letter that no font has
        yield
    for one in caught:
        if str(one.message).startswith("Glyph"):
            say_boxes()
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


@cache
def font_families() -> list[str]:
    """Return the font families that texts are drawn with, the first that has a letter first."""
    installed = {font.name for font in fontManager.ttflist}
    return [*mpl.rcParams["font.family"], *(name for name in WIDE_FONTS if name in installed)]


@cache
def say_boxes() -> None:
    """Say once that letters are drawn as boxes, and what to install."""
    say(
        "letters that no font in use has are drawn as boxes: install a font that has them, of "
        f"{', '.join(WIDE_FONTS)}, and delete fontlist-*.json in {mpl.get_cachedir()}"
    )
