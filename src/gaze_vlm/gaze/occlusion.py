"""Carrying gaze from the frame it was looked at in to a later one, and telling where that fails.

Pixel coordinates are (x, y) with (0, 0) at the centre of the top left pixel, so the frame spans
[−0.5, width − 0.5] × [−0.5, height − 0.5]. Flow is [height, width, 2] in pixels, (x, y).
"""

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32

from gaze_vlm.errors import InputError

OcclusionTest = Literal["local", "frame", "none"]
LOCAL_EPSILON = 1 / 96  # of the frame's width, between the noise of the flow and the step at an occluder's edge
FRAME_EPSILON = 20 / 1088  # of the frame's width; the paper's 20 px on frames of 1088 px
FRAME_ETA = 0.6


def to_px(xy: Float[np.ndarray, "point 2"], width_px: int, height_px: int) -> Float[np.ndarray, "point 2"]:
    """Normalised coordinates to pixel coordinates."""
    return xy * (width_px, height_px) - 0.5


def from_px(points_px: Float[np.ndarray, "point 2"], width_px: int, height_px: int) -> Float[np.ndarray, "point 2"]:
    """Pixel coordinates to normalised coordinates."""
    return (points_px + 0.5) / (width_px, height_px)


def inside(points_px: Float[np.ndarray, "*shape 2"], width_px: int, height_px: int) -> Bool[np.ndarray, "*shape"]:
    """True for points of the frame, its border included; NaN is outside."""
    x, y = points_px[..., 0], points_px[..., 1]
    return (x >= -0.5) & (x <= width_px - 0.5) & (y >= -0.5) & (y <= height_px - 0.5)


def sample(
    field: Float32[np.ndarray, "height width channel"], points_px: Float[np.ndarray, "*shape 2"]
) -> Float32[np.ndarray, "*shape channel"]:
    """Sample `field` bilinearly at `points_px`; beyond it the border is repeated."""
    # The rows of an image stay rows: OpenCV takes no map with a side of 32767 or more.
    maps = np.ascontiguousarray(points_px, dtype=np.float32).reshape(-1, points_px.shape[-2], 2)
    # None, though its types forbid it: OpenCV 5 takes an empty array for a map where a field has 1, 3 or 4 channels.
    values = cv2.remap(field, maps, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return values.reshape(*points_px.shape[:-1], field.shape[2])


def carry(
    points_px: Float[np.ndarray, "point 2"], flow: Float32[np.ndarray, "height width 2"]
) -> Float[np.ndarray, "point 2"]:
    """Move points of the source frame by the flow at their place.

    They may land outside the frame.
    """
    return points_px + sample(flow, points_px)


def forward_backward_error(
    forward: Float32[np.ndarray, "height width 2"], backward: Float32[np.ndarray, "height width 2"]
) -> Float32[np.ndarray, "height width"]:
    """Return how far the way there and back misses its start, in pixels.

    Δ(p) = ‖f(p) + b(p + f(p))‖. Small where both frames show the same thing, large where it is hidden in one of them.
    Pixels that the forward flow moves out of the frame have no way back: Δ = ∞.

    Raises:
        InputError: the two flows differ in shape.
    """
    if forward.shape != backward.shape or forward.shape[2:] != (2,):
        raise InputError(f"flows must both be [height, width, 2], not {forward.shape} and {backward.shape}")
    height, width = forward.shape[:2]
    landed = _pixel_centres(height, width) + forward
    squares = np.square(forward + sample(backward, landed))
    error = np.sqrt(squares[..., 0] + squares[..., 1])  # the last digit of cv2.magnitude depends on where arrays lie
    error[~inside(landed, width, height)] = np.inf
    return error


@lru_cache(maxsize=2)
def _pixel_centres(height: int, width: int) -> Float32[np.ndarray, "height width 2"]:
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    centres = np.stack([columns, rows], axis=-1)
    centres.setflags(write=False)
    return centres


def error_at(
    points_px: Float[np.ndarray, "point 2"], error: Float32[np.ndarray, "height width"], radius_px: float
) -> Float32[np.ndarray, " point"]:
    """Return the median error within `radius_px` of each point, or at its pixel.

    The median keeps single bad flow vectors from deciding. Points outside the frame get ∞.
    """
    height, width = error.shape
    result = np.full(len(points_px), np.inf, dtype=np.float32)
    for i in np.flatnonzero(inside(points_px, width, height)):
        x, y = points_px[i]
        left, right = max(0, int(np.ceil(x - radius_px))), min(width - 1, int(np.floor(x + radius_px)))
        top, bottom = max(0, int(np.ceil(y - radius_px))), min(height - 1, int(np.floor(y + radius_px)))
        rows, columns = np.ogrid[top : bottom + 1, left : right + 1]
        disc = (columns - x) ** 2 + (rows - y) ** 2 <= radius_px**2
        if disc.any():
            result[i] = np.median(error[top : bottom + 1, left : right + 1][disc])
        else:
            result[i] = error[min(max(round(y), 0), height - 1), min(max(round(x), 0), width - 1)]
    return result


def occluded_share(error: Float32[np.ndarray, "height width"], epsilon_px: float) -> float:
    """Return the share of pixels with Δ > ε, with those that leave the frame."""
    return float(np.mean(error > epsilon_px))


def visible(
    error: Float[np.ndarray, "*shape"],
    occluded_share: Float[np.ndarray, "*shape"],
    test: OcclusionTest = "local",
    epsilon: float = LOCAL_EPSILON,
    eta: float = FRAME_ETA,
) -> Bool[np.ndarray, "*shape"]:
    """Return which carried points still show what was looked at.

    It is decided by the values that the store keeps.

    Args:
        error: forward-backward error at the points, in fractions of the frame's width.
        occluded_share: share of occluded pixels of the points' own frames (its ε was set by the preparation).
        test: `local` drops points whose own error exceeds `epsilon`; `frame` is the paper's test and drops
            all points of a frame whose occluded share exceeds `eta`; `none` drops nothing.
        epsilon: largest error of a visible point, in fractions of the frame's width; for `local` alone.
        eta: largest occluded share of a usable frame; for `frame` alone.

    Raises:
        InputError: the test is unknown.
    """
    if test == "local":
        return error <= epsilon
    if test == "frame":
        return occluded_share <= eta
    if test == "none":
        return np.ones(np.shape(error), dtype=bool)
    raise InputError(f"occlusion test {test!r} is unknown; use 'local', 'frame' or 'none'")
