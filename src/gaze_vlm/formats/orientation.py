"""How a video's metadata turn its frames: a phone held upright writes landscape frames, and how to show them."""

from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from gaze_vlm.errors import InputError
from gaze_vlm.formats.decoder import WRITE_ANEW

MATRIX = "DISPLAYMATRIX"  # nine integers: (x, y) of the coded frame is shown at (a·x + c·y, b·x + d·y)


@dataclass(frozen=True)
class Orientation:
    """How to show a coded frame: first swap its axes, then mirror the result.

    Args:
        swapped: rows become columns.
        left_right: mirror the result's columns.
        up_down: mirror the result's rows.
    """

    swapped: bool = False
    left_right: bool = False
    up_down: bool = False

    def size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Return the shown width and height of a coded size, or the reverse."""
        return (height_px, width_px) if self.swapped else (width_px, height_px)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Turn pixels [H, W] or [H, W, channel]."""
        if self == Orientation():
            return pixels
        turned = np.swapaxes(pixels, 0, 1) if self.swapped else pixels
        return np.ascontiguousarray(turned[:: -1 if self.up_down else 1, :: -1 if self.left_right else 1])


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read the orientation that the metadata state.

    Raises:
        InputError: the angle is no multiple of 90 degrees.
    """
    side_data: Any = frame.side_data  # typed for motion vectors alone
    if (data := side_data.get(MATRIX)) is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if b == c == 0:
        return Orientation(left_right=a < 0, up_down=d < 0)
    if a == d == 0:
        return Orientation(swapped=True, left_right=c < 0, up_down=b < 0)
    raise InputError(f"its metadata turn the frames by {frame.rotation} degrees, no multiple of 90: {WRITE_ANEW}")
