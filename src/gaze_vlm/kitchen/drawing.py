"""Pictures of the objects, of what has been done to them, and of what passes in front."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from gaze_vlm.kitchen.canvas import Canvas, Colour, Point, shade
from gaze_vlm.kitchen.recipes import COLOURS

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


def draw_object(
    canvas: Canvas, kind: str, colour: str, centre: Point, radius: float, done: frozenset[str], shadow: Colour
) -> None:
    """Draw an object with the marks of the verbs in `done`; in pixels of the canvas."""
    x, y = centre
    label, canvas.label = canvas.label, 0
    canvas.ellipse((x + 0.18 * radius, y + 0.72 * radius), (1.12 * radius, 0.5 * radius), shadow)
    if "Wash" in done:
        canvas.ring((x, y + 0.62 * radius), (1.45 * radius, 0.72 * radius), 0.16 * radius, (170, 216, 240))
    canvas.label = label
    tones = palette(colour)
    is_open = "Open" in done
    if "Cut" in done:
        half = 0.72 * radius
        for side in (-1, 1):
            piece = (x + 0.78 * side * radius, y + 0.24 * side * radius)
            _SHAPES[kind](canvas, piece, half, tones, is_open)
            face = (piece[0] - 0.62 * side * half, piece[1] + 0.1 * half)
            canvas.ellipse(face, (0.22 * half, 0.72 * half), CREAM, 8.0)
    else:
        _SHAPES[kind](canvas, centre, radius, tones, is_open)
    if "Pour into" in done:
        axes = {"cup": (0.6, 0.17), "bowl": (0.92, 0.25), "pan": (0.62, 0.5)}[kind]
        height = {"cup": -0.76, "bowl": -0.28, "pan": 0.0}[kind]
        across = -0.12 if kind == "pan" else 0.0
        canvas.ellipse((x + across * radius, y + height * radius), _scaled(axes, radius), LIQUID)
    if is_open:
        canvas.ellipse((x + 1.2 * radius, y + 0.95 * radius), (0.55 * radius, 0.32 * radius), LID)
        canvas.ellipse((x + 1.2 * radius, y + 0.9 * radius), (0.36 * radius, 0.18 * radius), shade(LID, 1.4))
    if "Stir" in done:
        canvas.stroke((x + 0.05 * radius, y - 0.3 * radius), (x - 0.8 * radius, y - 1.6 * radius), 0.24 * radius, WOOD)
        canvas.disc((x - 0.8 * radius, y - 1.6 * radius), 0.2 * radius, shade(WOOD, 0.8))
    if "Wash" in done:
        for across, up in ((-0.62, -0.2), (0.5, 0.35)):
            _sparkle(canvas, (x + across * radius, y + up * radius), 0.3 * radius)


def draw_occluder(canvas: Canvas, centre: Point, radius: float, colour: Colour) -> None:
    """Draw a round serving tray that somebody carries past the camera."""
    x, y = centre
    canvas.disc(centre, radius, shade(colour, 0.62))
    canvas.disc(centre, 0.93 * radius, colour)
    canvas.ring(centre, (0.72 * radius, 0.72 * radius), 0.03 * radius, shade(colour, 0.8))
    for across, up in ((-0.3, -0.3), (0.35, -0.15), (0.05, 0.38)):
        canvas.disc((x + across * radius, y + up * radius), 0.17 * radius, shade(colour, 1.28))
        canvas.disc((x + across * radius, y + up * radius), 0.1 * radius, shade(colour, 0.75))


def _cup(canvas: Canvas, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    canvas.ring((x + 0.78 * r, y + 0.02 * r), (0.42 * r, 0.44 * r), 0.24 * r, tones.dark)
    _box(canvas, centre, r, ((-0.74, -0.8), (0.74, -0.8), (0.56, 0.92), (-0.56, 0.92)), tones.base)
    canvas.ellipse((x, y + 0.9 * r), (0.56 * r, 0.16 * r), tones.base)
    _box(canvas, centre, r, ((-0.58, -0.6), (-0.36, -0.58), (-0.3, 0.8), (-0.44, 0.78)), tones.light)
    canvas.ellipse((x, y - 0.8 * r), (0.74 * r, 0.24 * r), tones.dark)
    canvas.ellipse((x, y - 0.77 * r), (0.6 * r, 0.17 * r), tones.darkest)


def _bowl(canvas: Canvas, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    _box(canvas, centre, r, ((-0.42, 0.6), (0.42, 0.6), (0.5, 0.9), (-0.5, 0.9)), tones.dark)
    canvas.half_ellipse((x, y - 0.32 * r), (1.16 * r, 1.12 * r), tones.base)
    canvas.ellipse((x - 0.68 * r, y + 0.14 * r), (0.1 * r, 0.3 * r), tones.light, -28.0)
    canvas.ellipse((x, y - 0.32 * r), (1.16 * r, 0.38 * r), tones.light)
    canvas.ellipse((x, y - 0.28 * r), (1.0 * r, 0.29 * r), tones.darkest)


def _plate(canvas: Canvas, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    canvas.ellipse((x, y + 0.1 * r), (1.3 * r, 0.86 * r), tones.darkest)
    canvas.ellipse(centre, (1.3 * r, 0.86 * r), tones.base)
    canvas.ellipse((x, y + 0.02 * r), (0.84 * r, 0.53 * r), tones.dark)
    canvas.ellipse((x, y + 0.07 * r), (0.78 * r, 0.48 * r), tones.light)


def _bottle(canvas: Canvas, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    outline = (
        (-0.22, -1.2), (0.22, -1.2), (0.24, -0.6), (0.54, -0.25), (0.54, 1.15), (-0.54, 1.15), (-0.54, -0.25),
        (-0.24, -0.6),
    )  # fmt: skip
    _box(canvas, centre, r, outline, tones.base)
    _box(canvas, centre, r, ((-0.42, -0.15), (-0.24, -0.2), (-0.24, 1.02), (-0.42, 1.02)), tones.light)
    _box(canvas, centre, r, ((-0.54, 0.2), (0.54, 0.2), (0.54, 0.75), (-0.54, 0.75)), tones.darkest)
    if is_open:
        canvas.ellipse((x, y - 1.2 * r), (0.22 * r, 0.09 * r), tones.darkest)
    else:
        _box(canvas, centre, r, ((-0.29, -1.48), (0.29, -1.48), (0.29, -1.12), (-0.29, -1.12)), LID)


def _pan(canvas: Canvas, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    canvas.stroke((x + 0.6 * r, y - 0.5 * r), (x + 1.55 * r, y - 1.15 * r), 0.34 * r, LID)
    canvas.ellipse((x - 0.12 * r, y + 0.1 * r), (1.04 * r, 0.9 * r), tones.darkest)
    canvas.ellipse((x - 0.12 * r, y), (1.04 * r, 0.9 * r), tones.base)
    canvas.ellipse((x - 0.12 * r, y + 0.02 * r), (0.76 * r, 0.64 * r), (52, 52, 58))
    canvas.ellipse((x - 0.34 * r, y - 0.2 * r), (0.26 * r, 0.1 * r), (92, 92, 100), -35.0)


def _jar(canvas: Canvas, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
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
    _box(canvas, centre, r, outline, tones.base)
    _box(canvas, centre, r, ((-0.5, -0.05), (0.5, -0.05), (0.5, 0.6), (-0.5, 0.6)), CREAM)
    canvas.stroke((x - 0.28 * r, y + 0.18 * r), (x + 0.28 * r, y + 0.18 * r), 0.1 * r, LID)
    canvas.stroke((x - 0.28 * r, y + 0.38 * r), (x + 0.14 * r, y + 0.38 * r), 0.1 * r, LID)
    if is_open:
        canvas.ellipse((x, y - 0.6 * r), (0.66 * r, 0.2 * r), tones.darkest)
    else:
        _box(canvas, centre, r, ((-0.76, -1.02), (0.76, -1.02), (0.76, -0.52), (-0.76, -0.52)), LID)
        _box(canvas, centre, r, ((-0.76, -1.02), (0.76, -1.02), (0.7, -0.88), (-0.7, -0.88)), shade(LID, 1.4))


def _carton(canvas: Canvas, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    _box(canvas, centre, r, ((-1.0, -0.42), (0.58, -0.42), (0.58, 0.95), (-1.0, 0.95)), tones.base)
    _box(canvas, centre, r, ((0.58, -0.42), (1.04, -0.88), (1.04, 0.46), (0.58, 0.95)), tones.darkest)
    top = tones.darkest if is_open else tones.light
    _box(canvas, centre, r, ((-1.0, -0.42), (-0.54, -0.88), (1.04, -0.88), (0.58, -0.42)), top)
    if is_open:
        _box(canvas, centre, r, ((-0.54, -0.88), (1.04, -0.88), (0.82, -1.3), (-0.72, -1.3)), tones.light)
    _box(canvas, centre, r, ((-0.32, -0.42), (-0.08, -0.42), (-0.08, 0.95), (-0.32, 0.95)), tones.dark)


def _pepper(canvas: Canvas, centre: Point, r: float, tones: Palette, is_open: bool) -> None:
    x, y = centre
    canvas.ellipse((x - 0.5 * r, y + 0.12 * r), (0.52 * r, 0.84 * r), tones.dark, 8.0)
    canvas.ellipse((x + 0.5 * r, y + 0.12 * r), (0.52 * r, 0.84 * r), tones.dark, -8.0)
    canvas.ellipse((x, y + 0.16 * r), (0.5 * r, 0.88 * r), tones.base)
    canvas.ellipse((x - 0.62 * r, y - 0.16 * r), (0.11 * r, 0.3 * r), tones.light, 16.0)
    canvas.ellipse((x, y - 0.58 * r), (0.42 * r, 0.2 * r), LEAF)
    canvas.stroke((x, y - 0.6 * r), (x + 0.16 * r, y - 1.15 * r), 0.26 * r, LEAF)


_SHAPES: dict[str, Callable[[Canvas, Point, float, Palette, bool], None]] = {
    "cup": _cup,
    "bowl": _bowl,
    "plate": _plate,
    "bottle": _bottle,
    "pan": _pan,
    "jar": _jar,
    "box": _carton,
    "pepper": _pepper,
}


def _box(canvas: Canvas, centre: Point, r: float, corners: tuple[Point, ...], colour: Colour) -> None:
    x, y = centre
    canvas.polygon([(x + across * r, y + down * r) for across, down in corners], colour)


def _sparkle(canvas: Canvas, centre: Point, size: float) -> None:
    x, y = centre
    canvas.stroke((x - size, y), (x + size, y), 0.3 * size, (255, 255, 255))
    canvas.stroke((x, y - size), (x, y + size), 0.3 * size, (255, 255, 255))


def _scaled(axes: Point, r: float) -> Point:
    return axes[0] * r, axes[1] * r
