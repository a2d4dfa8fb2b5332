"""Pictures of the objects, of what has been done to them, and of what passes in front."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

from gaze_vlm.kitchen.canvas import Colour, Point, Sketch, shade
from gaze_vlm.kitchen.recipes import COLOURS
from gaze_vlm.kitchen.script import TRAY

STEEL: Colour = (196, 201, 208)
WOOD: Colour = (146, 96, 52)
LIQUID: Colour = (128, 214, 232)
LEAF: Colour = (34, 96, 40)
LID: Colour = (66, 66, 72)
CREAM: Colour = (250, 240, 214)


@dataclass(frozen=True)
class Palette:
    """One object colour in four tones."""

    base: Colour
    light: Colour
    dark: Colour
    darkest: Colour


@cache
def palette(colour: str) -> Palette:
    """Make the four tones of an object colour."""
    base = COLOURS[colour]
    return Palette(base, shade(base, 1.35), shade(base, 0.72), shade(base, 0.42))


@lru_cache(maxsize=256)
def object_sketch(kind: str, colour: str, done: frozenset[str], shadow: Colour) -> Sketch:
    """Draw an object with the marks of the verbs in `done`; its radius is the unit."""
    sketch = Sketch()
    sketch.labelled = False
    sketch.ellipse((0.18, 0.72), (1.12, 0.5), shadow)
    if "Wash" in done:
        sketch.ring((0.0, 0.62), (1.45, 0.72), 0.16, (170, 216, 240))
    sketch.labelled = True
    tones = palette(colour)
    is_open = "Open" in done
    if "Cut" in done:
        half = 0.72
        for side in (-1, 1):
            piece = (0.78 * side, 0.24 * side)
            _SHAPES[kind](sketch, piece, half, tones, is_open)
            sketch.ellipse(
                (piece[0] - 0.62 * side * half, piece[1] + 0.1 * half), (0.22 * half, 0.72 * half), CREAM, 8.0
            )
    else:
        _SHAPES[kind](sketch, (0.0, 0.0), 1.0, tones, is_open)
    if "Pour into" in done:
        centre, axes = {
            "cup": ((0.0, -0.76), (0.6, 0.17)),
            "bowl": ((0.0, -0.28), (0.92, 0.25)),
            "pan": ((-0.12, 0.0), (0.62, 0.5)),
        }[kind]
        sketch.ellipse(centre, axes, LIQUID)
    if is_open:
        sketch.ellipse((1.2, 0.95), (0.55, 0.32), LID)
        sketch.ellipse((1.2, 0.9), (0.36, 0.18), shade(LID, 1.4))
    if "Stir" in done:
        sketch.stroke((0.05, -0.3), (-0.8, -1.6), 0.24, WOOD)
        sketch.disc((-0.8, -1.6), 0.2, shade(WOOD, 0.8))
    if "Wash" in done:
        _sparkles(sketch, ((-0.62, -0.2), (0.5, 0.35)), 0.3)
    return sketch


@lru_cache(maxsize=64)
def tray_sketch(colour: Colour) -> Sketch:
    """Draw the tray on the table, in units of the world."""
    left, top, right, bottom = TRAY
    sketch = Sketch()
    sketch.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)
    return sketch


@cache
def occluder_sketch(colour: Colour) -> Sketch:
    """Draw a round serving tray that somebody carries past the camera.

    Its radius is the unit.
    """
    sketch = Sketch()
    sketch.disc((0.0, 0.0), 1.0, shade(colour, 0.62))
    sketch.disc((0.0, 0.0), 0.93, colour)
    sketch.ring((0.0, 0.0), (0.72, 0.72), 0.03, shade(colour, 0.8))
    for centre in ((-0.3, -0.3), (0.35, -0.15), (0.05, 0.38)):
        sketch.disc(centre, 0.17, shade(colour, 1.28))
        sketch.disc(centre, 0.1, shade(colour, 0.75))
    return sketch


def _cup(sketch: Sketch, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    sketch.ring((x + 0.78 * r, y + 0.02 * r), (0.42 * r, 0.44 * r), 0.24 * r, tones.dark)
    _box(sketch, centre, r, ((-0.74, -0.8), (0.74, -0.8), (0.56, 0.92), (-0.56, 0.92)), tones.base)
    sketch.ellipse((x, y + 0.9 * r), (0.56 * r, 0.16 * r), tones.base)
    _box(sketch, centre, r, ((-0.58, -0.6), (-0.36, -0.58), (-0.3, 0.8), (-0.44, 0.78)), tones.light)
    sketch.ellipse((x, y - 0.8 * r), (0.74 * r, 0.24 * r), tones.dark)
    sketch.ellipse((x, y - 0.77 * r), (0.6 * r, 0.17 * r), tones.darkest)


def _bowl(sketch: Sketch, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    _box(sketch, centre, r, ((-0.42, 0.6), (0.42, 0.6), (0.5, 0.9), (-0.5, 0.9)), tones.dark)
    sketch.half_ellipse((x, y - 0.32 * r), (1.16 * r, 1.12 * r), tones.base)
    sketch.ellipse((x - 0.68 * r, y + 0.14 * r), (0.1 * r, 0.3 * r), tones.light, -28.0)
    sketch.ellipse((x, y - 0.32 * r), (1.16 * r, 0.38 * r), tones.light)
    sketch.ellipse((x, y - 0.28 * r), (1.0 * r, 0.29 * r), tones.darkest)


def _plate(sketch: Sketch, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    sketch.ellipse((x, y + 0.1 * r), (1.3 * r, 0.86 * r), tones.darkest)
    sketch.ellipse(centre, (1.3 * r, 0.86 * r), tones.base)
    sketch.ellipse((x, y + 0.02 * r), (0.84 * r, 0.53 * r), tones.dark)
    sketch.ellipse((x, y + 0.07 * r), (0.78 * r, 0.48 * r), tones.light)


def _bottle(sketch: Sketch, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    outline = (
        (-0.22, -1.2), (0.22, -1.2), (0.24, -0.6), (0.54, -0.25), (0.54, 1.15), (-0.54, 1.15), (-0.54, -0.25),
        (-0.24, -0.6),
    )  # fmt: skip
    _box(sketch, centre, r, outline, tones.base)
    _box(sketch, centre, r, ((-0.42, -0.15), (-0.24, -0.2), (-0.24, 1.02), (-0.42, 1.02)), tones.light)
    _box(sketch, centre, r, ((-0.54, 0.2), (0.54, 0.2), (0.54, 0.75), (-0.54, 0.75)), tones.darkest)
    if is_open:
        sketch.ellipse((x, y - 1.2 * r), (0.22 * r, 0.09 * r), tones.darkest)
    else:
        _box(sketch, centre, r, ((-0.29, -1.48), (0.29, -1.48), (0.29, -1.12), (-0.29, -1.12)), LID)


def _pan(sketch: Sketch, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    sketch.stroke((x + 0.6 * r, y - 0.5 * r), (x + 1.55 * r, y - 1.15 * r), 0.34 * r, LID)
    sketch.ellipse((x - 0.12 * r, y + 0.1 * r), (1.04 * r, 0.9 * r), tones.darkest)
    sketch.ellipse((x - 0.12 * r, y), (1.04 * r, 0.9 * r), tones.base)
    sketch.ellipse((x - 0.12 * r, y + 0.02 * r), (0.76 * r, 0.64 * r), (52, 52, 58))
    sketch.ellipse((x - 0.34 * r, y - 0.2 * r), (0.26 * r, 0.1 * r), (92, 92, 100), -35.0)


def _jar(sketch: Sketch, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    outline = (
        (-0.66, -0.6),
        (0.66, -0.6),
        (0.84, -0.35),
        (0.84, 0.8),
        (0.7, 1.0),
        (-0.7, 1.0),
        (-0.84, 0.8),
        (-0.84, -0.35),
    )
    _box(sketch, centre, r, outline, tones.base)
    _box(sketch, centre, r, ((-0.5, -0.05), (0.5, -0.05), (0.5, 0.6), (-0.5, 0.6)), CREAM)
    left, right, shorter = x - 0.28 * r, x + 0.28 * r, x + 0.14 * r
    upper, lower = y + 0.18 * r, y + 0.38 * r
    sketch.strokes([((left, upper), (right, upper)), ((left, lower), (shorter, lower))], 0.1 * r, LID)
    if is_open:
        sketch.ellipse((x, y - 0.6 * r), (0.66 * r, 0.2 * r), tones.darkest)
    else:
        _box(sketch, centre, r, ((-0.76, -1.02), (0.76, -1.02), (0.76, -0.52), (-0.76, -0.52)), LID)
        _box(sketch, centre, r, ((-0.76, -1.02), (0.76, -1.02), (0.7, -0.88), (-0.7, -0.88)), shade(LID, 1.4))


def _carton(sketch: Sketch, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    _box(sketch, centre, r, ((-1.0, -0.42), (0.58, -0.42), (0.58, 0.95), (-1.0, 0.95)), tones.base)
    _box(sketch, centre, r, ((0.58, -0.42), (1.04, -0.88), (1.04, 0.46), (0.58, 0.95)), tones.darkest)
    top = tones.darkest if is_open else tones.light
    _box(sketch, centre, r, ((-1.0, -0.42), (-0.54, -0.88), (1.04, -0.88), (0.58, -0.42)), top)
    if is_open:
        _box(sketch, centre, r, ((-0.54, -0.88), (1.04, -0.88), (0.82, -1.3), (-0.72, -1.3)), tones.light)
    _box(sketch, centre, r, ((-0.32, -0.42), (-0.08, -0.42), (-0.08, 0.95), (-0.32, 0.95)), tones.dark)


def _pepper(sketch: Sketch, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    sketch.ellipse((x - 0.5 * r, y + 0.12 * r), (0.52 * r, 0.84 * r), tones.dark, 8.0)
    sketch.ellipse((x + 0.5 * r, y + 0.12 * r), (0.52 * r, 0.84 * r), tones.dark, -8.0)
    sketch.ellipse((x, y + 0.16 * r), (0.5 * r, 0.88 * r), tones.base)
    sketch.ellipse((x - 0.62 * r, y - 0.16 * r), (0.11 * r, 0.3 * r), tones.light, 16.0)
    sketch.ellipse((x, y - 0.58 * r), (0.42 * r, 0.2 * r), LEAF)
    sketch.stroke((x, y - 0.6 * r), (x + 0.16 * r, y - 1.15 * r), 0.26 * r, LEAF)


_SHAPES: dict[str, Callable[[Sketch, Point, float, Palette, bool], None]] = {
    "cup": _cup,
    "bowl": _bowl,
    "plate": _plate,
    "bottle": _bottle,
    "pan": _pan,
    "jar": _jar,
    "box": _carton,
    "pepper": _pepper,
}


def _box(sketch: Sketch, centre: Point, r: float, corners: tuple[Point, ...], colour: Colour) -> None:
    x, y = centre
    sketch.polygon([(x + across * r, y + down * r) for across, down in corners], colour)


def _sparkles(sketch: Sketch, centres: tuple[Point, ...], size: float) -> None:
    lines = []
    for x, y in centres:
        lines += [((x - size, y), (x + size, y)), ((x, y - size), (x, y + size))]
    sketch.strokes(lines, 0.3 * size, (255, 255, 255))
