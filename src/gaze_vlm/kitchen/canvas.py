"""Sketches of things: drawn once in units of their own, and painted twice, as a picture and as ids of what is seen."""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Complex, Int32, UInt8

Point = tuple[float, float]
Colour = tuple[int, int, int]

SUBPIXEL_BITS = 4
CIRCLE_CORNERS = 24
"""Enough for a circle of 20 pixels to be off by a sixth of a pixel."""
_TURN = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
LOWER_HALF = CIRCLE_CORNERS // 2 + 1
FILLED = 0.0


class _Shape(NamedTuple):
    corners: slice
    closed: bool
    thickness: float
    colour: Colour
    labelled: bool


class Sketch:
    """Collects shapes that move as one, y downwards; later shapes cover earlier ones.

    A sketch is turned and scaled when it is painted. Its lines and polygons turn with it. Of circles and ellipses the
    middle alone turns, unless they are drawn with `turns`.
    """

    def __init__(self) -> None:
        self.labelled = True
        """Whether the shapes drawn from now on have the id of the thing, or 0 as the table has."""
        self._shapes: list[_Shape] = []
        self._corners: list[Complex[np.ndarray, "corner 3"]] = []
        """Of each corner: 1, the part that turns with the sketch, and the part that is scaled alone."""
        self._count = 0

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Add a filled polygon."""
        self._add_line(points, FILLED, colour)

    def stroke(self, start: Point, end: Point, thickness: float, colour: Colour) -> None:
        """Add a straight line with round ends."""
        self.strokes([(start, end)], thickness, colour)

    def strokes(self, lines: Sequence[tuple[Point, Point]], thickness: float, colour: Colour) -> None:
        """Add straight lines with round ends that one call of OpenCV draws, the first one first."""
        self._add_line([point for line in lines for point in line], thickness, colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Add a filled circle."""
        self._add_ellipse(centre, _outline((radius, radius)), FILLED, colour)

    def ellipse(self, centre: Point, axes: Point, colour: Colour, angle_deg: float = 0.0, turns: bool = False) -> None:
        """Add a filled ellipse with two half axes, the first along `angle_deg` (clockwise)."""
        self._add_ellipse(centre, _outline(axes, angle_deg), FILLED, colour, turns)

    def half_ellipse(self, centre: Point, axes: Point, colour: Colour) -> None:
        """Add the lower half of a filled ellipse."""
        self._add_ellipse(centre, _outline(axes)[:LOWER_HALF], FILLED, colour)

    def ring(self, centre: Point, axes: Point, thickness: float, colour: Colour) -> None:
        """Add the outline of an ellipse."""
        self._add_ellipse(centre, _outline(axes), thickness, colour)

    @cached_property
    def reach(self) -> float:
        """How far the finished sketch extends from its origin."""
        return float(np.abs(self._basis[:, 1:]).sum(axis=1).max()) + max(shape.thickness for shape in self._shapes)

    def paint(self, image: np.ndarray, origin: complex, turn: complex, scale: float, label: int | None) -> None:
        """Paint the finished sketch: with a `label` its ids, else its colours.

        Ids have hard edges, colours are antialiased.
        """
        corners = self._place(scale * origin, scale * turn)
        unit = scale * abs(turn)
        line_type = cv2.LINE_AA if label is None else cv2.LINE_8
        for span, closed, thickness, colour, labelled in self._shapes:
            ink = colour if label is None else label * labelled
            if thickness == FILLED:
                cv2.fillPoly(image, [corners[span]], ink, line_type, SUBPIXEL_BITS)
            else:
                width = max(1, round(unit * thickness))
                lines = [corners[span]] if closed else list(corners[span].reshape(-1, 2, 2))
                cv2.polylines(image, lines, closed, ink, width, line_type, SUBPIXEL_BITS)

    def _place(self, origin: complex, turn: complex) -> Int32[np.ndarray, "corner 2"]:
        """Corners in fractions of a pixel: all at once, which is several times faster than shape by shape."""
        unit = 1 << SUBPIXEL_BITS
        placed = self._basis @ np.array((unit * origin, unit * turn, unit * abs(turn)))
        return placed.view(np.float64).reshape(-1, 2).astype(np.int32)

    @cached_property
    def _basis(self) -> Complex[np.ndarray, "corner 3"]:
        return self._corners[0] if len(self._corners) == 1 else np.concatenate(self._corners)

    def _add_line(self, points: Sequence[Point], thickness: float, colour: Colour) -> None:
        self._add(np.array([(1, complex(x, y), 0) for x, y in points]), False, thickness, colour)

    def _add_ellipse(
        self,
        centre: Point,
        outline: Complex[np.ndarray, " corner"],
        thickness: float,
        colour: Colour,
        turns: bool = False,
    ) -> None:
        corners = np.empty((len(outline), 3), complex)
        corners[:] = 1, complex(*centre), 0
        corners[:, 1 if turns else 2] += outline
        self._add(corners, True, thickness, colour)

    def _add(self, corners: Complex[np.ndarray, "corner 3"], closed: bool, thickness: float, colour: Colour) -> None:
        span = slice(self._count, self._count + len(corners))
        self._corners.append(corners)
        self._count = span.stop
        self._shapes.append(_Shape(span, closed, thickness, colour, self.labelled))


class Layer(NamedTuple):
    """A sketch where it is in a frame.

    `origin`: x + iy of its origin, in pixels. `turn`: pixels a unit, times e^(i angle). `label`: the id of the thing.
    """

    sketch: Sketch
    origin: complex
    turn: complex
    label: int


def outline_layer(points: Sequence[complex], colour: Colour, label: int) -> Layer:
    """Make a layer of one polygon, its corners in pixels."""
    sketch = Sketch()
    sketch.polygon([(point.real, point.imag) for point in points], colour)
    return Layer(sketch, 0, 1, label)


def paint_picture(image: UInt8[np.ndarray, "height width 3"], layers: Iterable[Layer], scale: float) -> None:
    """Draw the layers into an RGB image, antialiased, `scale` times as large.

    Later ones cover earlier ones.
    """
    for layer in layers:
        layer.sketch.paint(image, layer.origin, layer.turn, scale, None)


def paint_labels(labels: UInt8[np.ndarray, "height width"], layers: Iterable[Layer]) -> None:
    """Draw the id of every layer into a map, with hard edges."""
    for layer in layers:
        layer.sketch.paint(labels, layer.origin, layer.turn, 1.0, layer.label)


def shade(colour: Colour, factor: float) -> Colour:
    """Darken by a `factor` < 1; for `factor` > 1 mix towards white by `factor` - 1."""
    if factor <= 1:
        return int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor)
    mix = factor - 1
    red, green, blue = (int(value + (255 - value) * mix) for value in colour)
    return red, green, blue


def _outline(axes: Point, angle_deg: float = 0.0) -> Complex[np.ndarray, " corner"]:
    along, across = axes
    angle = math.radians(angle_deg)
    return (along * np.cos(_TURN) + 1j * across * np.sin(_TURN)) * complex(math.cos(angle), math.sin(angle))
