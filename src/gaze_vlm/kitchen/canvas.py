"""A list of shapes that can be painted twice: as a picture, and as the ids of what is seen."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

Point = tuple[float, float]
Colour = tuple[int, int, int]

SUBPIXEL_BITS = 4
CIRCLE_CORNERS = 24
"""Enough for a circle of 20 pixels to be off by a sixth of a pixel."""
_TURN = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
UNIT_CIRCLE = np.column_stack([np.cos(_TURN), np.sin(_TURN), np.ones(CIRCLE_CORNERS)])
LOWER_HALF = CIRCLE_CORNERS // 2 + 1
FILLED = 0.0


class _Shape(NamedTuple):
    """Corners `first` to `last` of the canvas, or of its ellipse number `ellipse` if that is not negative."""

    ellipse: int
    first: int
    last: int
    thickness: float
    colour: Colour
    label: int


class Canvas:
    """Collects shapes in pixels, origin at the top left; later shapes cover earlier ones.

    Every shape has a colour, and takes the value of `label` at its time as its id. All corners are computed
    together when the canvas is painted, which is several times faster than shape by shape.
    """

    def __init__(self) -> None:
        self.label = 0
        self._shapes: list[_Shape] = []
        self._corners: list[Point] = []
        self._ellipses: list[tuple[Point, Point, Point]] = []

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Add a filled polygon."""
        self._add_corners(points, FILLED, colour)

    def stroke(self, start: Point, end: Point, thickness: float, colour: Colour) -> None:
        """Add a straight line with round ends."""
        self._add_corners((start, end), thickness, colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Add a filled circle."""
        self._add_ellipse(centre, (radius, radius), 0.0, CIRCLE_CORNERS, FILLED, colour)

    def ellipse(self, centre: Point, axes: Point, colour: Colour, angle_deg: float = 0.0) -> None:
        """Add a filled ellipse with two half axes, the first along `angle_deg` (clockwise)."""
        self._add_ellipse(centre, axes, angle_deg, CIRCLE_CORNERS, FILLED, colour)

    def half_ellipse(self, centre: Point, axes: Point, colour: Colour) -> None:
        """Add the lower half of a filled ellipse."""
        self._add_ellipse(centre, axes, 0.0, LOWER_HALF, FILLED, colour)

    def ring(self, centre: Point, axes: Point, thickness: float, colour: Colour) -> None:
        """Add the outline of an ellipse."""
        self._add_ellipse(centre, axes, 0.0, CIRCLE_CORNERS, thickness, colour)

    def paint_picture(self, image: UInt8[np.ndarray, "height width 3"], scale: float) -> None:
        """Draw all shapes into an RGB image, antialiased, `scale` times as large."""
        self._paint(image, scale, as_labels=False)

    def paint_labels(self, labels: UInt8[np.ndarray, "height width"]) -> None:
        """Draw the id of every shape into a map, with hard edges."""
        self._paint(labels, 1.0, as_labels=True)

    def _add_corners(self, points: Sequence[Point], thickness: float, colour: Colour) -> None:
        first = len(self._corners)
        self._corners.extend(points)
        self._shapes.append(_Shape(-1, first, len(self._corners), thickness, colour, self.label))

    def _add_ellipse(
        self, centre: Point, axes: Point, angle_deg: float, corners: int, thickness: float, colour: Colour
    ) -> None:
        along, across = axes
        angle = math.radians(angle_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        self._ellipses.append(((along * cos, along * sin), (-across * sin, across * cos), centre))
        self._shapes.append(_Shape(len(self._ellipses) - 1, 0, corners, thickness, colour, self.label))

    def _paint(self, image: np.ndarray, scale: float, as_labels: bool) -> None:
        unit = scale * (1 << SUBPIXEL_BITS)
        corners = (unit * np.array(self._corners).reshape(-1, 2)).astype(np.int32)
        ellipses = (UNIT_CIRCLE @ (unit * np.array(self._ellipses).reshape(-1, 3, 2))).astype(np.int32)
        line_type = cv2.LINE_8 if as_labels else cv2.LINE_AA
        for ellipse, first, last, thickness, colour, label in self._shapes:
            outline = [(corners if ellipse < 0 else ellipses[ellipse])[first:last]]
            ink = label if as_labels else colour
            if thickness == FILLED:
                cv2.fillPoly(image, outline, ink, line_type, SUBPIXEL_BITS)
            else:
                width = max(1, round(scale * thickness))
                cv2.polylines(image, outline, ellipse >= 0, ink, width, line_type, SUBPIXEL_BITS)


class Frame2D:
    """A local coordinate frame: `at(a, b)` is `a` units along its axis and `b` units to the right of it."""

    def __init__(self, origin: Point, angle: float, unit: float) -> None:
        self.origin = origin
        self.unit = unit
        self.angle_deg = math.degrees(angle)
        self._cos = math.cos(angle) * unit
        self._sin = math.sin(angle) * unit

    def at(self, a: float, b: float) -> Point:
        """Return the point `a` units along the axis and `b` units to its right."""
        x, y = self.origin
        return x + a * self._cos - b * self._sin, y + a * self._sin + b * self._cos


def shade(colour: Colour, factor: float) -> Colour:
    """Darken by a `factor` < 1; for `factor` > 1 mix towards white by `factor` - 1."""
    if factor <= 1:
        return int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor)
    mix = factor - 1
    red, green, blue = (int(value + (255 - value) * mix) for value in colour)
    return red, green, blue
