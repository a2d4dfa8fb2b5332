"""A stretch of cooking that can be looked at: every frame as a picture, and as a map of what is where."""

import cmath
import math
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import dropwhile
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Complex, Float, Int, UInt8

from gaze_vlm.kitchen.canvas import Layer, paint_labels, paint_picture
from gaze_vlm.kitchen.drawing import object_sketch, occluder_sketch, tray_sketch
from gaze_vlm.kitchen.hand import hand_layers
from gaze_vlm.kitchen.look import TABLE_ORIGIN, TABLE_PX_PER_UNIT, Look, light_table, table_texture
from gaze_vlm.kitchen.motion import VIEW_HEIGHT, Camera, follow, smooth_walk
from gaze_vlm.kitchen.occluders import Occluder, random_occluders
from gaze_vlm.kitchen.script import Script
from gaze_vlm.kitchen.wearer import Fixations, HandPath, gaze_path, look_around, move_hand

FRAME_WIDTH_PX, FRAME_HEIGHT_PX = 128, 96
SUPERSAMPLING = 2
HAND_RADIUS = 0.05
HAND_LABEL = 255
NOISE_SIGMA = 2.5
MARGIN_PX = 2.0
"""How far beyond its outline an antialiased shape colours pixels, and more."""


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
        large, large_rgba = self._canvases
        size = (FRAME_WIDTH_PX, FRAME_HEIGHT_PX)
        image = cv2.warpAffine(self._table, self._table_turns[index], size, borderMode=cv2.BORDER_REFLECT)
        cv2.resize(image, None, large_rgba, SUPERSAMPLING, SUPERSAMPLING, cv2.INTER_NEAREST)
        cv2.cvtColor(large_rgba, cv2.COLOR_RGBA2RGB, large)
        paint_picture(large, self._layers(index), SUPERSAMPLING)
        image = cv2.resize(large, size, interpolation=cv2.INTER_AREA)
        image = cv2.LUT(image, self._light)
        brighter, darker = _noise(self.look.seed + index)
        return cv2.subtract(cv2.add(image, brighter), darker)

    def labels(self, index: int) -> Labels:
        """Label what frame `index` shows, with the shapes of the frame and hard edges."""
        tick = self.tick(index)
        object_map = np.zeros((FRAME_HEIGHT_PX, FRAME_WIDTH_PX), np.uint8)
        paint_labels(object_map, self._layers(index))
        height = np.array([1.0, VIEW_HEIGHT])
        seen = self.camera.to_view(self.paths[:, tick], tick) / height
        hand_x, hand_y = (self.camera.to_view(self.hand.xy[tick], tick) / height).tolist()
        objects = tuple(
            VisibleObject(kind, colour, x, y)
            for kind, colour, (x, y) in zip(self.script.kinds, self.script.colours, seen.tolist(), strict=True)
        )
        return Labels(object_map, objects, self.hand.verb(self.script, tick), (hand_x, hand_y))

    def visible(self, index: int, item: int) -> Bool[np.ndarray, "96 128"]:
        """Return where frame `index` shows object `item`: where its labels have the object's id.

        Only the object and what is in front of it are painted.
        """
        object_map, label = np.zeros((FRAME_HEIGHT_PX, FRAME_WIDTH_PX), np.uint8), item + 1
        paint_labels(object_map, dropwhile(lambda layer: layer.label != label, self._layers(index)))
        return object_map == label

    @cached_property
    def _table(self) -> UInt8[np.ndarray, "height width 4"]:
        """RGB and a fourth channel that OpenCV needs to be quick."""
        return cv2.cvtColor(table_texture(self.look), cv2.COLOR_RGB2RGBA)

    @cached_property
    def _canvases(self) -> tuple[UInt8[np.ndarray, "192 256 3"], UInt8[np.ndarray, "192 256 4"]]:
        """Kept from frame to frame: fresh memory of this size costs more than what is done in it."""
        height, width = SUPERSAMPLING * FRAME_HEIGHT_PX, SUPERSAMPLING * FRAME_WIDTH_PX
        return np.empty((height, width, 3), np.uint8), np.empty((height, width, 4), np.uint8)

    @cached_property
    def _light(self) -> UInt8[np.ndarray, "1 256 3"]:
        return light_table(self.look)

    @cached_property
    def _ticks(self) -> Int[np.ndarray, " frame"]:
        return np.arange(self.frame_count) * self.rates.tick_hz // self.rates.frame_hz

    @cached_property
    def _points_px(self) -> Complex[np.ndarray, "frame point"]:
        """Where the world's origin, both hands and elbows, and the objects are in each frame: x + iy."""
        ticks = self._ticks
        still = np.broadcast_to([(0.0, 0.0), self.hand.elbow, self.idle_elbow], (len(ticks), 3, 2))
        moving = np.stack([self.hand.xy[ticks], self.idle_hand[ticks], *self.paths[:, ticks]], axis=1)
        world = np.concatenate([still, moving], axis=1)
        return (FRAME_WIDTH_PX * self.camera.to_view(world, ticks[:, None])) @ np.array([1, 1j])

    @cached_property
    def _table_turns(self) -> Float[np.ndarray, "frame 2 3"]:
        """The map from the table's pixels to those of each frame."""
        turns = self.camera.affine(self._ticks)
        turns[..., 2] += turns[..., :2] @ np.array(TABLE_ORIGIN)
        turns[..., :2] /= TABLE_PX_PER_UNIT
        return FRAME_WIDTH_PX * turns

    def _layers(self, index: int) -> list[Layer]:
        """Everything on the table and before it, from the bottom up."""
        tick = self.tick(index)
        t_s, zoom_px = float(self.t_s[tick]), FRAME_WIDTH_PX * float(self.camera.zoom[tick])
        look, script = self.look, self.script
        origin, elbow, idle_elbow, hand, idle_hand, *things = self._points_px[index].tolist()
        layers = [Layer(tray_sketch(look.tray), origin, cmath.rect(zoom_px, self.camera.roll[tick]), 0)]
        for item in sorted(range(len(things)), key=lambda index: things[index].imag):
            sketch = object_sketch(script.kinds[item], script.colours[item], script.done(item, t_s), look.shadow)
            radius = float(script.radius[item]) * zoom_px
            if _in_view(things[item], sketch.reach * radius):
                layers.append(Layer(sketch, things[item], radius, item + 1))
        radius, verb, angle = HAND_RADIUS * zoom_px, self.hand.verb(script, tick), float(self.hand.angle[tick])
        layers += hand_layers(idle_hand, idle_elbow, 0.0, None, radius, look.skin, look.sleeve, HAND_LABEL)
        layers += hand_layers(hand, elbow, angle, verb, radius, look.skin, look.sleeve, HAND_LABEL)
        for occluder in self.occluders:
            if occluder.start_s <= t_s <= occluder.end_s:
                x, y = occluder.centre(np.array([t_s]))[0].tolist()
                centre, radius = FRAME_WIDTH_PX * complex(x, y), FRAME_WIDTH_PX * occluder.radius
                layers.append(Layer(occluder_sketch(occluder.colour), centre, radius, 0))
        return layers


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


def _in_view(centre: complex, reach_px: float) -> bool:
    margin = reach_px + MARGIN_PX
    return -margin < centre.real < FRAME_WIDTH_PX + margin and -margin < centre.imag < FRAME_HEIGHT_PX + margin


def _noise(seed: int) -> tuple[UInt8[np.ndarray, "96 128 3"], UInt8[np.ndarray, "96 128 3"]]:
    """Sensor noise to add and to subtract: seeded pieces of one sheet, for fresh noise costs as much as drawing."""
    sheets = _noise_sheets()
    size = FRAME_HEIGHT_PX * FRAME_WIDTH_PX * 3
    start = (seed * 7919) % (sheets.shape[1] - size)
    brighter, darker = sheets[:, start : start + size].reshape(2, FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 3)
    return brighter, darker


@cache
def _noise_sheets() -> UInt8[np.ndarray, "2 value"]:
    """The values above zero and those below: twice faster to apply than one sheet with signs."""
    rng = np.random.default_rng(0)
    noise = np.rint(NOISE_SIGMA * rng.standard_normal(1 << 18, dtype=np.float32))
    return np.stack([np.maximum(noise, 0), np.maximum(-noise, 0)]).astype(np.uint8)
