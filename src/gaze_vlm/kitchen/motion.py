"""How things move: smooth random walks, reaches, and the head camera that follows the gaze."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

VIEW_HEIGHT = 0.75
"""Height of the view in frame widths: 4:3. All geometry is in frame widths, where pixels are square."""


def minimum_jerk(progress: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return how much of a reach is done at a share of its time (Flash, Hogan 1985)."""
    s = np.clip(progress, 0.0, 1.0)
    return s**3 * (10 - 15 * s + 6 * s * s)


def smooth_walk(
    rng: np.random.Generator, t_s: Float[np.ndarray, " tick"], sigma: float, pace_s: float, width: int
) -> Float[np.ndarray, "tick width"]:
    """Draw Gaussian values of `sigma` every `pace_s` seconds, joined smoothly."""
    knots = rng.normal(0.0, sigma, (int(t_s[-1] / pace_s) + 3, width))
    place = t_s / pace_s
    knot = place.astype(int)
    share = (place - knot)[:, None]
    share = share * share * (3 - 2 * share)
    return knots[knot] * (1 - share) + knots[knot + 1] * share


@dataclass(frozen=True)
class Camera:
    """Where the head camera looks, a row a tick: centre of the view in world units, roll in radians, zoom."""

    centre: Float[np.ndarray, "tick 2"]
    roll: Float[np.ndarray, " tick"]
    zoom: Float[np.ndarray, " tick"]

    def to_view(
        self, world: Float[np.ndarray, "... 2"], tick: Int[np.ndarray, "..."] | int
    ) -> Float[np.ndarray, "... 2"]:
        """Map world points to the view: frame widths from its top left corner."""
        offset = (world - self.centre[tick]) * np.asarray(self.zoom[tick])[..., None]
        cos, sin = np.cos(self.roll[tick]), np.sin(self.roll[tick])
        x, y = offset[..., 0], offset[..., 1]
        return np.stack([0.5 + cos * x - sin * y, 0.5 * VIEW_HEIGHT + sin * x + cos * y], axis=-1)

    def affine(self, tick: Int[np.ndarray, "..."] | int) -> Float[np.ndarray, "... 2 3"]:
        """Return the same map as a matrix, for warping the table."""
        cos = np.cos(self.roll[tick]) * self.zoom[tick]
        sin = np.sin(self.roll[tick]) * self.zoom[tick]
        turn = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
        shift = np.array([[0.5], [0.5 * VIEW_HEIGHT]]) - turn @ self.centre[tick][..., None]
        return np.concatenate([turn, shift], axis=-1)


def follow(rng: np.random.Generator, t_s: Float[np.ndarray, " tick"], target: Float[np.ndarray, "tick 2"]) -> Camera:
    """Turn a swaying head part of the way towards `target`, half a second late."""
    lag_s, part = 0.55, 0.4
    rest = np.array([0.5, 0.36])
    goal = rest + part * (target - rest)
    gain = 1 - np.exp(-(t_s[1] - t_s[0]) / lag_s)
    start = rest + rng.normal(0.0, 0.03, 2)
    turned = np.column_stack([_lag(*axis, gain) for axis in zip(start.tolist(), goal.T.tolist(), strict=True)])
    sway = smooth_walk(rng, t_s, 0.025, 0.6, 2) + smooth_walk(rng, t_s, 0.006, 0.13, 2)
    return Camera(
        centre=turned + sway,
        roll=smooth_walk(rng, t_s, 0.05, 0.7, 1)[:, 0],
        zoom=0.96 + smooth_walk(rng, t_s, 0.035, 1.0, 1)[:, 0],
    )


def _lag(start: float, goals: list[float], gain: float) -> list[float]:
    """Go `gain` of the way to the goal in each tick.

    SciPy's `lfilter` does the same, but takes seconds to import.
    """
    places, left = [], 1 - gain
    for goal in goals:
        start = gain * goal + left * start
        places.append(start)
    return places
