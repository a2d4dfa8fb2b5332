"""A stretch of cooking that can be looked at: every frame as a picture, and as a map of what is where."""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from gaze_vlm.kitchen.canvas import Canvas, Point
from gaze_vlm.kitchen.drawing import draw_object, draw_occluder
from gaze_vlm.kitchen.hand import draw_hand
from gaze_vlm.kitchen.look import TABLE_ORIGIN, TABLE_PX_PER_UNIT, Look, light_table, table_texture
from gaze_vlm.kitchen.motion import VIEW_HEIGHT, Camera, follow, smooth_walk
from gaze_vlm.kitchen.occluders import Occluder, random_occluders
from gaze_vlm.kitchen.script import TRAY, Script
from gaze_vlm.kitchen.wearer import Fixations, HandPath, gaze_path, look_around, move_hand

FRAME_WIDTH_PX, FRAME_HEIGHT_PX = 128, 96
SUPERSAMPLING = 2
HAND_RADIUS = 0.05
HAND_LABEL = 255
NOISE_SIGMA = 2.5
DRAWN_RADII = 2.0
"""How far an object with its marks extends from its centre."""


@dataclass(frozen=True)
class Rates:
    """How many frames the camera takes in a second, and how many samples the eye tracker."""

    frame_hz: int
    gaze_hz: int

    @property
    def tick_hz(self) -> int:
        """The clock of the simulation: the slowest that ticks at every frame and at every sample."""
        return math.lcm(self.frame_hz, self.gaze_hz)


EGTEA_RATES = Rates(frame_hz=24, gaze_hz=30)
EGO4D_RATES = Rates(frame_hz=30, gaze_hz=200)


class VisibleObject(NamedTuple):
    """An object of a frame; x and y normalised to the frame, outside [0, 1] where it is out of view."""

    kind: str
    colour: str
    x: float
    y: float


@dataclass(frozen=True)
class Labels:
    """What a frame shows.

    `object_map`: uint8 [96, 128], 0 background (also whatever passes in front), i + 1 object i, 255 hand or
    tool. `verb`: the verb of the tool in the working hand, None while it is empty. `hand_xy`: its palm,
    normalised.
    """

    object_map: UInt8[np.ndarray, "height width"]
    objects: tuple[VisibleObject, ...]
    verb: str | None
    hand_xy: tuple[float, float]


@dataclass(frozen=True)
class Scene:
    """Everything that moves, a row a tick of 1 / `rates.tick_hz` seconds."""

    rates: Rates
    script: Script
    look: Look
    t_s: Float[np.ndarray, " tick"]
    paths: Float[np.ndarray, "object tick 2"]
    fixations: Fixations
    hand: HandPath
    camera: Camera
    idle_hand: Float[np.ndarray, "tick 2"]
    idle_elbow: Float[np.ndarray, "2"]
    occluders: tuple[Occluder, ...]

    @property
    def frame_count(self) -> int:
        """How many frames the video has."""
        return 1 + (len(self.t_s) - 1) * self.rates.frame_hz // self.rates.tick_hz

    def tick(self, frame: int) -> int:
        """Return the tick at which a frame is taken."""
        return frame * self.rates.tick_hz // self.rates.frame_hz

    def frame(self, index: int) -> UInt8[np.ndarray, "96 128 3"]:
        """Render frame `index` of the video, RGB in [0, 255]."""
        tick = self.tick(index)
        size = (SUPERSAMPLING * FRAME_WIDTH_PX, SUPERSAMPLING * FRAME_HEIGHT_PX)
        image = cv2.resize(self._table_in_view(tick), size, interpolation=cv2.INTER_NEAREST)
        self._drawing(tick).paint_picture(image, SUPERSAMPLING)
        image = cv2.resize(image, (FRAME_WIDTH_PX, FRAME_HEIGHT_PX), interpolation=cv2.INTER_AREA)
        image = cv2.LUT(image, light_table(self.look))
        return cv2.add(image, _noise(self.look.seed + index), dtype=cv2.CV_8U)

    def labels(self, index: int) -> Labels:
        """Label what frame `index` shows, with the shapes of the frame and hard edges."""
        tick = self.tick(index)
        object_map = np.zeros((FRAME_HEIGHT_PX, FRAME_WIDTH_PX), np.uint8)
        self._drawing(tick).paint_labels(object_map)
        height = np.array([1.0, VIEW_HEIGHT])
        seen = self.camera.to_view(self.paths[:, tick], tick) / height
        hand_x, hand_y = (self.camera.to_view(self.hand.xy[tick], tick) / height).tolist()
        objects = tuple(
            VisibleObject(kind, colour, x, y)
            for kind, colour, (x, y) in zip(self.script.kinds, self.script.colours, seen.tolist(), strict=True)
        )
        return Labels(object_map, objects, self.hand.verb(self.script, tick), (hand_x, hand_y))

    @cached_property
    def _table(self) -> UInt8[np.ndarray, "height width 3"]:
        return table_texture(self.look)

    def _table_in_view(self, tick: int) -> UInt8[np.ndarray, "96 128 3"]:
        turn = self.camera.affine(tick)
        turn[:, 2] += turn[:, :2] @ np.array(TABLE_ORIGIN)
        turn[:, :2] /= TABLE_PX_PER_UNIT
        size = (FRAME_WIDTH_PX, FRAME_HEIGHT_PX)
        return cv2.warpAffine(self._table, FRAME_WIDTH_PX * turn, size, borderMode=cv2.BORDER_REFLECT)

    def _drawing(self, tick: int) -> Canvas:
        """Everything on the table and before it, in pixels of the frame."""
        t_s = float(self.t_s[tick])
        look, script = self.look, self.script
        left, top, right, bottom = TRAY
        world = [
            *((left, top), (right, top), (right, bottom), (left, bottom)),
            *(self.hand.xy[tick], self.hand.elbow, self.idle_hand[tick], self.idle_elbow),
            *self.paths[:, tick],
        ]
        points: list[Point] = [
            (x, y) for x, y in (FRAME_WIDTH_PX * self.camera.to_view(np.array(world), tick)).tolist()
        ]
        zoom_px = FRAME_WIDTH_PX * float(self.camera.zoom[tick])
        canvas = Canvas()
        canvas.polygon(points[:4], look.tray)
        hand, elbow, idle_hand, idle_elbow = points[4:8]
        things = points[8:]
        for item in sorted(range(len(things)), key=lambda index: things[index][1]):
            radius = float(script.radius[item]) * zoom_px
            if not _in_view(things[item], DRAWN_RADII * radius):
                continue
            canvas.label = item + 1
            kind, colour = script.kinds[item], script.colours[item]
            draw_object(canvas, kind, colour, things[item], radius, script.done(item, t_s), look.shadow)
        canvas.label = HAND_LABEL
        radius = HAND_RADIUS * zoom_px
        draw_hand(canvas, idle_hand, idle_elbow, 0.0, None, radius, look.skin, look.sleeve)
        verb, angle = self.hand.verb(script, tick), float(self.hand.angle[tick])
        draw_hand(canvas, hand, elbow, angle, verb, radius, look.skin, look.sleeve)
        canvas.label = 0
        for occluder in self.occluders:
            if occluder.start_s <= t_s <= occluder.end_s:
                x, y = (FRAME_WIDTH_PX * occluder.centre(np.array([t_s]))[0]).tolist()
                draw_occluder(canvas, (x, y), FRAME_WIDTH_PX * occluder.radius, occluder.colour)
        return canvas


def act_out(
    rng: np.random.Generator, script: Script, look: Look, until_s: float | None = None, rates: Rates = EGTEA_RATES
) -> Scene:
    """Let a wearer do the actions of `script`, or those that begin before `until_s`."""
    t_s = np.arange(0.0, script.duration_s if until_s is None else until_s, 1 / rates.tick_hz)
    paths = script.paths(t_s)
    fixations = look_around(rng, script)
    eyes, _ = gaze_path(fixations, paths, t_s)
    camera = follow(rng, t_s, eyes)
    idle_rest = np.array([rng.uniform(0.0, 0.34), rng.uniform(0.64, 0.74)])
    return Scene(
        rates=rates,
        script=script,
        look=look,
        t_s=t_s,
        paths=paths,
        fixations=fixations,
        hand=move_hand(rng, script, paths, t_s),
        camera=camera,
        idle_hand=idle_rest + smooth_walk(rng, t_s, 0.02, 0.5, 2),
        idle_elbow=np.array([rng.uniform(-0.1, 0.2), 1.15]),
        occluders=random_occluders(rng, script.duration_s, t_s, camera.to_view(eyes, np.arange(len(t_s)))),
    )


def _in_view(centre: Point, reach_px: float) -> bool:
    x, y = centre
    return -reach_px < x < FRAME_WIDTH_PX + reach_px and -reach_px < y < FRAME_HEIGHT_PX + reach_px


def _noise(seed: int) -> np.ndarray:
    """Sensor noise [96, 128, 3]: a seeded piece of one sheet, for fresh noise costs as much as drawing."""
    sheet = _noise_sheet()
    start = (seed * 7919) % (len(sheet) - FRAME_HEIGHT_PX * FRAME_WIDTH_PX * 3)
    piece = sheet[start : start + FRAME_HEIGHT_PX * FRAME_WIDTH_PX * 3]
    return piece.reshape(FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 3)


@cache
def _noise_sheet() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.rint(NOISE_SIGMA * rng.standard_normal(1 << 18, dtype=np.float32)).astype(np.int16)
