"""The camera wearer's hands: the verb shows only in the tool and the pose."""

import cmath
from collections.abc import Callable
from functools import lru_cache

from gaze_vlm.kitchen.canvas import Colour, Layer, Sketch, outline_layer, shade
from gaze_vlm.kitchen.drawing import LIQUID, STEEL

SPONGE: Colour = (250, 160, 52)
SCOURER: Colour = (46, 120, 74)
GRIP: Colour = (44, 38, 36)
SPOON: Colour = (226, 186, 128)
SPOON_EDGE: Colour = (92, 58, 32)
EDGE = 0.62
"""How dark the outline of skin is."""


def hand_layers(
    centre: complex,
    elbow: complex,
    angle: float,
    verb: str | None,
    radius: float,
    skin: Colour,
    sleeve: Colour,
    label: int,
) -> list[Layer]:
    """Place a hand on an arm from `elbow`, with the tool of `verb` (None: a fist).

    The hand is turned by `angle` radians. `centre`, `elbow` and `radius` (of the palm) are in pixels.
    """
    reach = cmath.phase(centre - elbow)
    along = cmath.rect(radius, reach)
    wrist = (complex(-1.5, -0.78), complex(-1.5, 0.78))
    sleeve_corners = [*(centre + along * corner for corner in wrist), elbow + along * 1.25j, elbow - along * 1.25j]
    return [
        outline_layer(sleeve_corners, sleeve, label),
        Layer(_arm(skin, sleeve), centre, along, label),
        Layer(_hand(verb, skin), centre, cmath.rect(radius, reach + angle), label),
    ]


@lru_cache(maxsize=64)
def _arm(skin: Colour, sleeve: Colour) -> Sketch:
    """Cuff and wrist, as a Sketch along the arm with the palm at 0 and the radius of the palm as unit."""
    sketch = Sketch()
    sketch.polygon([(-1.5, -0.86), (-1.5, 0.86), (-1.85, 0.9), (-1.85, -0.9)], shade(sleeve, 0.7))
    sketch.polygon([(0.0, -0.55), (0.0, 0.55), (-1.55, 0.62), (-1.55, -0.62)], shade(skin, EDGE))
    sketch.polygon([(0.0, -0.46), (0.0, 0.46), (-1.55, 0.53), (-1.55, -0.53)], skin)
    return sketch


@lru_cache(maxsize=64)
def _hand(verb: str | None, skin: Colour) -> Sketch:
    """A hand and its tool, which points along x, in the same unit."""
    sketch = Sketch()
    draw = _fist if verb is None else _TOOLS[verb]
    draw(sketch, skin, shade(skin, EDGE))
    return sketch


def _fist(sketch: Sketch, skin: Colour, edge: Colour) -> None:
    _palm(sketch, skin, edge)
    for across in (-0.5, -0.17, 0.17, 0.5):
        sketch.stroke((0.25, across), (0.62, across * 0.95), 0.26, edge)
        sketch.stroke((0.2, across), (0.52, across * 0.95), 0.2, skin)


def _open_hand(sketch: Sketch, skin: Colour, edge: Colour) -> None:
    fingers = ((-0.52, -0.95, 1.25), (-0.18, -0.34, 1.55), (0.18, 0.28, 1.55), (0.5, 0.85, 1.3), (0.5, 1.35, 0.45))
    sketch.strokes([((0.3, across), (tip + 0.05, tip_across)) for across, tip_across, tip in fingers], 0.42, edge)
    _palm(sketch, skin, edge)
    sketch.strokes([((0.2, across), (tip, tip_across)) for across, tip_across, tip in fingers], 0.28, skin)


def _knife(sketch: Sketch, skin: Colour, edge: Colour) -> None:
    blade = ((0.85, -0.34), (1.7, -0.36), (2.6, 0.2), (0.85, 0.2))
    sketch.polygon(blade, (236, 240, 246))
    sketch.polygon([(0.85, 0.02), (2.35, 0.06), (2.6, 0.2), (0.85, 0.2)], (120, 126, 138))
    sketch.stroke((0.1, 0.0), (0.85, 0.0), 0.44, GRIP)
    _gripping(sketch, skin, edge)


def _jug(sketch: Sketch, skin: Colour, edge: Colour) -> None:
    sketch.stroke((1.75, -0.35), (2.3, -0.75), 0.26, LIQUID)
    sketch.ring((0.55, 0.1), (0.5, 0.5), 0.2, (220, 236, 242))
    body = ((0.6, 0.75), (0.75, -0.5), (1.6, -0.62), (1.95, -0.4), (1.65, 0.62))
    sketch.polygon(body, (224, 240, 246))
    sketch.polygon([(0.85, 0.55), (0.95, -0.32), (1.6, -0.45), (1.5, 0.45)], shade(LIQUID, 0.88))
    _gripping(sketch, skin, edge)


def _opener(sketch: Sketch, skin: Colour, edge: Colour) -> None:
    sketch.stroke((0.2, 0.0), (1.15, 0.0), 0.36, (190, 60, 130))
    size = 0.52
    sketch.ring((1.65, 0.0), (size, size), 0.38, (70, 74, 84))
    sketch.ring((1.65, 0.0), (size, size), 0.24, STEEL)
    _gripping(sketch, skin, edge)


def _spoon(sketch: Sketch, skin: Colour, edge: Colour) -> None:
    sketch.stroke((-0.9, 0.1), (1.9, 0.0), 0.36, SPOON_EDGE)
    sketch.ellipse((2.05, 0.0), (0.62, 0.46), SPOON_EDGE, turns=True)
    sketch.stroke((-0.9, 0.1), (1.9, 0.0), 0.2, SPOON)
    sketch.ellipse((2.05, 0.0), (0.5, 0.34), SPOON, turns=True)
    _gripping(sketch, skin, edge)


def _sponge(sketch: Sketch, skin: Colour, edge: Colour) -> None:
    sketch.polygon([(0.5, -0.85), (1.3, -0.85), (1.3, 0.85), (0.5, 0.85)], SPONGE)
    sketch.polygon([(1.25, -0.85), (1.58, -0.85), (1.58, 0.85), (1.25, 0.85)], SCOURER)
    for along, across, size in ((1.75, -0.7, 0.2), (1.85, 0.1, 0.26), (1.7, 0.75, 0.18), (0.9, 1.0, 0.2)):
        sketch.disc((along, across), size, (246, 250, 255))
    _gripping(sketch, skin, edge)


_TOOLS: dict[str, Callable[[Sketch, Colour, Colour], None]] = {
    "Pick up": _open_hand,
    "Cut": _knife,
    "Pour into": _jug,
    "Open": _opener,
    "Stir": _spoon,
    "Wash": _sponge,
}


def _palm(sketch: Sketch, skin: Colour, edge: Colour) -> None:
    sketch.disc((0.0, 0.0), 0.8, edge)
    sketch.disc((0.0, 0.0), 0.7, skin)


def _gripping(sketch: Sketch, skin: Colour, edge: Colour) -> None:
    """Palm with fingers closed over the tool."""
    _palm(sketch, skin, edge)
    for along in (0.05, 0.35, 0.62):
        sketch.stroke((along, -0.42), (along + 0.06, 0.3), 0.3, edge)
        sketch.stroke((along, -0.42), (along + 0.06, 0.26), 0.2, skin)
