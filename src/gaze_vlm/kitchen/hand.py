"""The camera wearer's hands: the verb shows only in the tool and the pose."""

import math
from collections.abc import Callable

from gaze_vlm.kitchen.canvas import Canvas, Colour, Frame2D, Point, shade
from gaze_vlm.kitchen.drawing import LIQUID, STEEL

SPONGE: Colour = (250, 160, 52)
SCOURER: Colour = (46, 120, 74)
GRIP: Colour = (44, 38, 36)
SPOON: Colour = (226, 186, 128)
SPOON_EDGE: Colour = (92, 58, 32)


def draw_hand(
    canvas: Canvas,
    centre: Point,
    elbow: Point,
    angle: float,
    verb: str | None,
    radius: float,
    skin: Colour,
    sleeve: Colour,
) -> None:
    """Draw a hand on an arm from `elbow`, with the tool of `verb` (None: a fist).

    It is turned by `angle` radians. `centre`, `elbow` and `radius` (of the palm) are in pixels.

    `centre`, `elbow` and `radius` (of the palm) in pixels.
    """
    reach = math.atan2(centre[1] - elbow[1], centre[0] - elbow[0])
    arm = Frame2D(centre, reach, radius)
    hand = Frame2D(centre, reach + angle, radius)
    length = math.dist(centre, elbow) / radius
    edge = shade(skin, 0.62)
    canvas.polygon([arm.at(-1.5, -0.78), arm.at(-1.5, 0.78), arm.at(-length, 1.25), arm.at(-length, -1.25)], sleeve)
    canvas.polygon(
        [arm.at(-1.5, -0.86), arm.at(-1.5, 0.86), arm.at(-1.85, 0.9), arm.at(-1.85, -0.9)], shade(sleeve, 0.7)
    )
    canvas.polygon([arm.at(0, -0.55), arm.at(0, 0.55), arm.at(-1.55, 0.62), arm.at(-1.55, -0.62)], edge)
    canvas.polygon([arm.at(0, -0.46), arm.at(0, 0.46), arm.at(-1.55, 0.53), arm.at(-1.55, -0.53)], skin)
    if verb is None:
        _fist(canvas, hand, skin, edge)
        return
    _TOOLS[verb](canvas, hand, skin, edge)


def _fist(canvas: Canvas, hand: Frame2D, skin: Colour, edge: Colour) -> None:
    _palm(canvas, hand, skin, edge)
    for across in (-0.5, -0.17, 0.17, 0.5):
        canvas.stroke(hand.at(0.25, across), hand.at(0.62, across * 0.95), 0.26 * hand.unit, edge)
        canvas.stroke(hand.at(0.2, across), hand.at(0.52, across * 0.95), 0.2 * hand.unit, skin)


def _open_hand(canvas: Canvas, hand: Frame2D, skin: Colour, edge: Colour) -> None:
    fingers = ((-0.52, -0.95, 1.25), (-0.18, -0.34, 1.55), (0.18, 0.28, 1.55), (0.5, 0.85, 1.3), (0.5, 1.35, 0.45))
    for across, tip_across, tip in fingers:
        canvas.stroke(hand.at(0.3, across), hand.at(tip + 0.05, tip_across), 0.42 * hand.unit, edge)
    _palm(canvas, hand, skin, edge)
    for across, tip_across, tip in fingers:
        canvas.stroke(hand.at(0.2, across), hand.at(tip, tip_across), 0.28 * hand.unit, skin)


def _knife(canvas: Canvas, hand: Frame2D, skin: Colour, edge: Colour) -> None:
    blade = (hand.at(0.85, -0.34), hand.at(1.7, -0.36), hand.at(2.6, 0.2), hand.at(0.85, 0.2))
    canvas.polygon(blade, (236, 240, 246))
    canvas.polygon([hand.at(0.85, 0.02), hand.at(2.35, 0.06), hand.at(2.6, 0.2), hand.at(0.85, 0.2)], (120, 126, 138))
    canvas.stroke(hand.at(0.1, 0.0), hand.at(0.85, 0.0), 0.44 * hand.unit, GRIP)
    _gripping(canvas, hand, skin, edge)


def _jug(canvas: Canvas, hand: Frame2D, skin: Colour, edge: Colour) -> None:
    canvas.stroke(hand.at(1.75, -0.35), hand.at(2.3, -0.75), 0.26 * hand.unit, LIQUID)
    canvas.ring(hand.at(0.55, 0.1), (0.5 * hand.unit, 0.5 * hand.unit), 0.2 * hand.unit, (220, 236, 242))
    body = (hand.at(0.6, 0.75), hand.at(0.75, -0.5), hand.at(1.6, -0.62), hand.at(1.95, -0.4), hand.at(1.65, 0.62))
    canvas.polygon(body, (224, 240, 246))
    canvas.polygon(
        [hand.at(0.85, 0.55), hand.at(0.95, -0.32), hand.at(1.6, -0.45), hand.at(1.5, 0.45)], shade(LIQUID, 0.88)
    )
    _gripping(canvas, hand, skin, edge)


def _opener(canvas: Canvas, hand: Frame2D, skin: Colour, edge: Colour) -> None:
    canvas.stroke(hand.at(0.2, 0.0), hand.at(1.15, 0.0), 0.36 * hand.unit, (190, 60, 130))
    size = 0.52 * hand.unit
    canvas.ring(hand.at(1.65, 0.0), (size, size), 0.38 * hand.unit, (70, 74, 84))
    canvas.ring(hand.at(1.65, 0.0), (size, size), 0.24 * hand.unit, STEEL)
    _gripping(canvas, hand, skin, edge)


def _spoon(canvas: Canvas, hand: Frame2D, skin: Colour, edge: Colour) -> None:
    canvas.stroke(hand.at(-0.9, 0.1), hand.at(1.9, 0.0), 0.36 * hand.unit, SPOON_EDGE)
    canvas.ellipse(hand.at(2.05, 0.0), (0.62 * hand.unit, 0.46 * hand.unit), SPOON_EDGE, hand.angle_deg)
    canvas.stroke(hand.at(-0.9, 0.1), hand.at(1.9, 0.0), 0.2 * hand.unit, SPOON)
    canvas.ellipse(hand.at(2.05, 0.0), (0.5 * hand.unit, 0.34 * hand.unit), SPOON, hand.angle_deg)
    _gripping(canvas, hand, skin, edge)


def _sponge(canvas: Canvas, hand: Frame2D, skin: Colour, edge: Colour) -> None:
    canvas.polygon([hand.at(0.5, -0.85), hand.at(1.3, -0.85), hand.at(1.3, 0.85), hand.at(0.5, 0.85)], SPONGE)
    canvas.polygon([hand.at(1.25, -0.85), hand.at(1.58, -0.85), hand.at(1.58, 0.85), hand.at(1.25, 0.85)], SCOURER)
    for along, across, size in ((1.75, -0.7, 0.2), (1.85, 0.1, 0.26), (1.7, 0.75, 0.18), (0.9, 1.0, 0.2)):
        canvas.disc(hand.at(along, across), size * hand.unit, (246, 250, 255))
    _gripping(canvas, hand, skin, edge)


_TOOLS: dict[str, Callable[[Canvas, Frame2D, Colour, Colour], None]] = {
    "Pick up": _open_hand,
    "Cut": _knife,
    "Pour into": _jug,
    "Open": _opener,
    "Stir": _spoon,
    "Wash": _sponge,
}


def _palm(canvas: Canvas, hand: Frame2D, skin: Colour, edge: Colour) -> None:
    canvas.disc(hand.origin, 0.8 * hand.unit, edge)
    canvas.disc(hand.origin, 0.7 * hand.unit, skin)


def _gripping(canvas: Canvas, hand: Frame2D, skin: Colour, edge: Colour) -> None:
    """Palm with fingers closed over the tool."""
    _palm(canvas, hand, skin, edge)
    for along in (0.05, 0.35, 0.62):
        canvas.stroke(hand.at(along, -0.42), hand.at(along + 0.06, 0.3), 0.3 * hand.unit, edge)
        canvas.stroke(hand.at(along, -0.42), hand.at(along + 0.06, 0.26), 0.2 * hand.unit, skin)
