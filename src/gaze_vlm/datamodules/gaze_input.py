"""Gaze as an input of the model, in training and at test: written into the question, or drawn on the frames."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze_vlm.gaze.mixture import GazeMixture

GazeInput = Literal["none", "coordinates", "words", "drawn"]
GazePoint = tuple[float, float]

DECIMALS = 4  # of a point's place, far below a pixel
QUESTION = {
    "coordinates": "Gaze in each frame, as x y from 0 0 at the top left to 1 1 at the bottom right: ",
    "words": "Gaze in each frame: ",
}
COLUMNS, ROWS = ("left", "", "right"), ("up", "", "down")
CENTRE, NOT_SEEN = "in the centre", "nothing"

RING_RADIUS, RING_WIDTH = 0.06, 0.015  # in frame widths
RING_COLOUR = 255, 0, 0
DRAWING = "ring", RING_RADIUS, RING_WIDTH, RING_COLOUR


def gaze_points(mixture: GazeMixture) -> list[GazePoint | None]:
    """Return the weighted mean of each frame's gaze, normalised to the frame.

    None where no point counts.
    """
    total = mixture.weight.sum(-1)
    weighted = torch.where(mixture.weight[..., None] > 0, mixture.xy, 0) * mixture.weight[..., None]
    means = weighted.sum(-2) / total.clamp_min(torch.finfo(total.dtype).tiny)[..., None]
    return [
        (round(x, DECIMALS), round(y, DECIMALS)) if counts else None
        for (x, y), counts in zip(means.tolist(), total > 0, strict=True)
    ]


def written(points: Sequence[GazePoint | None], form: GazeInput) -> str:
    """Write the gaze of a clip's frames as a sentence behind the question.

    Args:
        points: see `gaze_points`.
        form: `coordinates` with two decimals, or `words` for thirds of the frame; the others write nothing.
    """
    if form not in QUESTION:
        return ""
    one = _coordinates if form == "coordinates" else _words
    return f" {QUESTION[form]}{'. '.join(NOT_SEEN if point is None else one(point) for point in points)}."


def all_written(form: GazeInput) -> list[str]:
    """Return the text of every place that a form distinguishes along an axis, and of none."""
    shares = [number / 100 for number in range(101)]
    points: list[GazePoint | None] = [None, *((x, 0.5) for x in shares), *((0.5, y) for y in shares)]
    return list(dict.fromkeys(written([point], form) for point in points))


def draw_gaze(
    frames: UInt8[Tensor, "frame 3 height width"], points: Sequence[GazePoint | None]
) -> UInt8[Tensor, "frame 3 height width"]:
    """Draw a red ring about the gaze of each frame, which leaves visible what is looked at.

    Frames without gaze stay as they are. `DRAWING` and the points say all that the ring depends on.
    """
    drawn = frames.clone()
    for frame, point in zip(drawn, points, strict=True):
        if point is not None:
            cover = _ring(point, *frame.shape[-2:])
            colour = torch.tensor(RING_COLOUR)[:, None, None]
            frame.copy_((frame + cover * (colour - frame.float())).round())
    return drawn


def _ring(point: GazePoint, height: int, width: int) -> Float[Tensor, "height width"]:
    """The share of each pixel that the ring covers; the frame's width is the unit of its size."""
    x, y = (torch.arange(side) + 0.5 for side in (width, height))
    distance = torch.hypot(x - point[0] * width, y[:, None] - point[1] * height)
    thickness = max(1.0, RING_WIDTH * width)
    return (thickness / 2 + 0.5 - (distance - RING_RADIUS * width).abs()).clamp(0, 1)


def _coordinates(point: GazePoint) -> str:
    return "{:.2f} {:.2f}".format(*point)


def _words(point: GazePoint) -> str:
    column, row = (names[min(max(int(3 * at), 0), 2)] for names, at in zip((COLUMNS, ROWS), point, strict=True))
    return f"{column} {row}".strip() or CENTRE
