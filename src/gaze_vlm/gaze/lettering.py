"""Texts drawn as images, to stand above and below frames."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gaze_vlm.foreign_text import visible

LINE_PX, LETTER_PX = 24, 9.2  # height of a line, width of a letter at most
DPI, FONT_PT = 100, 11


def text_image(
    texts: Sequence[str], width_px: int, height_px: int, columns: int = 1
) -> UInt8[np.ndarray, "height width_px 3"]:
    """Draw texts in white on black, one below the other, or in columns.

    The height is made even.
    """
    height_px += height_px % 2
    figure = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, facecolor="black")
    rows = max(1, len(texts) // columns)
    for index, text in enumerate(texts):
        row, column = divmod(index, columns)
        x, y = column / columns + 8 / width_px, 1 - (row + 0.5) / rows
        figure.text(x, y, visible(text), color="white", fontsize=FONT_PT, va="center", parse_math=False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
