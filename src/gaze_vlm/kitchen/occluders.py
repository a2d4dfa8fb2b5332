"""Things that pass in front of the camera, and what they hide."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gaze_vlm.kitchen.canvas import Colour
from gaze_vlm.kitchen.motion import VIEW_HEIGHT

SPACING_S = 11.0
OCCLUDER_COLOURS: tuple[Colour, ...] = ((122, 96, 74), (92, 98, 104), (140, 134, 122), (84, 92, 80))


@dataclass(frozen=True)
class Occluder:
    """A round thing that crosses the view in a straight line; places and radius in frame widths."""

    start_s: float
    end_s: float
    start: tuple[float, float]
    end: tuple[float, float]
    radius: float
    colour: Colour
    distracts: bool
    """Whether the eyes follow it while it hides what they were on."""

    def centre(self, t_s: Float[np.ndarray, " tick"]) -> Float[np.ndarray, "tick 2"]:
        """Return its middle at some times; NaN when it is not in view."""
        share = (t_s - self.start_s) / (self.end_s - self.start_s)
        share = np.where((share >= 0) & (share <= 1), share, np.nan)[:, None]
        return np.array(self.start) + share * (np.array(self.end) - np.array(self.start))

    def covers(self, t_s: Float[np.ndarray, " tick"], view: Float[np.ndarray, "tick 2"]) -> np.ndarray:
        """Whether it hides the point of the view."""
        offset = view - self.centre(t_s)
        return np.hypot(offset[:, 0], offset[:, 1]) < self.radius  # NaN compares as False


def random_occluders(
    rng: np.random.Generator, duration_s: float, t_s: Float[np.ndarray, " tick"], looked_at: Float[np.ndarray, "tick 2"]
) -> tuple[Occluder, ...]:
    """Draw an occluder every eleven seconds or so, close to what is looked at."""
    count = max(1, round(duration_s / SPACING_S))
    found = []
    for index in range(count):
        crossing_s = rng.uniform(1.4, 2.4)
        first_s, room_s = index * duration_s / count, duration_s / count - crossing_s
        start_s = float(first_s + rng.uniform(0.0, max(room_s, 0.0)))
        middle = looked_at[np.searchsorted(t_s, min(start_s + crossing_s / 2, t_s[-1]))]
        middle = np.clip(middle, 0.1, (0.9, VIEW_HEIGHT - 0.1)) + rng.normal(0.0, 0.05, 2)
        radius = float(rng.uniform(0.13, 0.19))
        direction = rng.uniform(0.0, 2 * np.pi)
        way = (0.95 + radius) * np.array([np.cos(direction), np.sin(direction)])
        start, end = (middle - way).tolist(), (middle + way).tolist()
        colour = OCCLUDER_COLOURS[rng.integers(len(OCCLUDER_COLOURS))]
        found.append(
            Occluder(start_s, start_s + crossing_s, tuple(start), tuple(end), radius, colour, bool(rng.random() < 0.5))
        )
    return tuple(found)
