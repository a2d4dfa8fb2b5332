"""How a participant's kitchen looks: skin, sleeve, light and table."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import UInt8

from gaze_vlm.kitchen.canvas import Colour, shade

TABLE_PX_PER_UNIT = 128
TABLE_ORIGIN = (-0.5, -0.5)
TABLE_SIZE = (2.0, 1.75)
PATTERNS = ("wood", "stone", "cloth", "tiles")
# Muted on purpose: no table may be taken for one of the six object colours.
TABLES: tuple[Colour, ...] = (
    (158, 122, 88),
    (126, 92, 66),
    (184, 158, 126),
    (120, 124, 128),
    (96, 104, 112),
    (150, 146, 136),
    (112, 128, 116),
    (168, 144, 138),
)
SLEEVES: tuple[Colour, ...] = (
    (58, 62, 74),
    (92, 60, 54),
    (44, 78, 84),
    (108, 112, 92),
    (132, 98, 62),
    (76, 70, 98),
    (176, 168, 156),
)
LIGHT_SKIN = np.array([232, 184, 150])
DARK_SKIN = np.array([104, 66, 46])


@dataclass(frozen=True)
class Look:
    """What stays the same in all sessions of a participant. Colours are RGB in [0, 255]."""

    skin: Colour
    sleeve: Colour
    table: Colour
    pattern: str
    gain: tuple[float, float, float]
    seed: int

    @cached_property
    def tray(self) -> Colour:
        """Colour of the tray."""
        return shade(self.table, 0.78)

    @cached_property
    def shadow(self) -> Colour:
        """Colour of shadows."""
        return shade(self.table, 0.68)


def random_look(rng: np.random.Generator) -> Look:
    """Draw a look from all skins, sleeves, lights and tables."""
    skin = LIGHT_SKIN + rng.random() * (DARK_SKIN - LIGHT_SKIN)
    warmth = rng.uniform(-0.05, 0.05)
    brightness = rng.uniform(0.82, 1.1)
    return Look(
        skin=_rgb(skin),
        sleeve=_rgb(np.array(SLEEVES[rng.integers(len(SLEEVES))]) * rng.uniform(0.85, 1.15)),
        table=_rgb(np.array(TABLES[rng.integers(len(TABLES))]) * rng.uniform(0.88, 1.12)),
        pattern=PATTERNS[rng.integers(len(PATTERNS))],
        gain=(brightness * (1 + warmth), brightness, brightness * (1 - warmth)),
        seed=int(rng.integers(2**31)),
    )


def table_texture(look: Look) -> UInt8[np.ndarray, "height width 3"]:
    """Paint the table from above, RGB, `TABLE_PX_PER_UNIT` pixels a world unit."""
    rng = np.random.default_rng(look.seed)
    width, height = (int(side * TABLE_PX_PER_UNIT) for side in TABLE_SIZE)
    clouds = _noise(rng, (7, 8), (width, height), 7.0)
    grain = _noise(rng, (height // 2, width // 2), (width, height), 5.0)
    if look.pattern == "wood":
        planks = np.repeat(rng.normal(0, 7, 16), -(-height // 16))[:height]
        planks[:: -(-height // 16)] -= 26
        brightness = clouds + 0.5 * grain + _noise(rng, (height // 2, 10), (width, height), 9.0)
        brightness += planks[:, None].astype(np.float32)
    elif look.pattern == "stone":
        speckles = np.zeros((height, width), np.float32)
        rows, columns = rng.integers(height, size=1800), rng.integers(width, size=1800)
        speckles[rows, columns] = rng.choice(np.array([-38, 30], np.float32), 1800)
        brightness = clouds + 1.4 * grain + speckles
    elif look.pattern == "cloth":
        half_pitch = int(rng.integers(11, 17))
        stripes = (np.arange(max(width, height)) // half_pitch % 2).astype(np.float32)
        brightness = clouds + grain + 11 - 11 * (stripes[None, :width] + stripes[:height, None])
    else:
        pitch = int(rng.integers(34, 48))
        brightness = clouds + grain
        for joint in (0, 1):
            brightness[joint::pitch] -= 26
            brightness[:, joint::pitch] -= 26
    grey = cv2.merge([brightness, brightness, brightness])
    return cv2.add(grey, np.array([*look.table, 0.0]), dtype=cv2.CV_8U)


def light_table(look: Look) -> UInt8[np.ndarray, "1 256 3"]:
    """Make a look-up table that applies the participant's light to an RGB image."""
    levels = np.arange(256)[:, None] * np.array(look.gain)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)[None]


def _noise(rng: np.random.Generator, cells: tuple[int, int], size_px: tuple[int, int], sigma: float) -> np.ndarray:
    coarse = rng.standard_normal(cells, dtype=np.float32) * np.float32(sigma)
    return cv2.resize(coarse, size_px, interpolation=cv2.INTER_LINEAR)


def _rgb(colour: np.ndarray) -> Colour:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue
