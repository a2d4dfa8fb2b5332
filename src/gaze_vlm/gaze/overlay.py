"""Frames with what lies on them: gaze points, or a distribution over patches in colours of one scale."""

from collections.abc import Iterable

import cv2
import numpy as np
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.colors import Normalize, PowerNorm

from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import View

COLOURS, OPACITY = "magma", 0.6
HEAT, HEAT_OPACITY = "YlOrRd", 0.95
POINT, RIM = (255, 0, 255), (255, 255, 255)
POINT_SHARE = 1 / 45  # radius of a gaze point, in frame widths
JPEG_QUALITY = 82


def density(mass: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """Return a distribution as multiples of the uniform one on its grid."""
    return mass * mass.size


def one_scale(densities: Iterable[Float[np.ndarray, "row column"]]) -> PowerNorm:
    """Return one scale for all densities that are shown together.

    It reaches from 0 to their highest value, as a square root.
    """
    return PowerNorm(0.5, vmin=0, vmax=max((float(one.max()) for one in densities), default=1.0))


def faded(image: UInt8[np.ndarray, "y x 3"], dark: float = 0.25, light: float = 0.75) -> Float[np.ndarray, "y x 3"]:
    """Return a frame in greys from `dark` to `light`, of 0 to 1, which colours lie upon."""
    grey = reduce(image.astype(float), "y x channel -> y x 1", "mean").repeat(3, 2) / 255
    return dark + (light - dark) * grey


def resized(frame: UInt8[np.ndarray, "3 y x"], width_px: int) -> UInt8[np.ndarray, "height width_px 3"]:
    """Return a frame as an RGB image of a width, its height even."""
    image = rearrange(frame, "channel y x -> y x channel")
    rows, columns = image.shape[:2]
    height_px = max(2, 2 * round(rows * width_px / columns / 2))
    smooth = cv2.INTER_AREA if width_px < columns else cv2.INTER_CUBIC
    return cv2.resize(image, (width_px, height_px), interpolation=smooth)  # type: ignore[return-value]


def with_points(
    image: UInt8[np.ndarray, "y x 3"], gaze: GazeMixture, frame: int, hollow: bool = False
) -> UInt8[np.ndarray, "y x 3"]:
    """Draw the gaze points that count in a frame of a clip, as dots or as rings."""
    drawn = image.copy()
    rows, columns = image.shape[:2]
    radius = max(3, round(columns * POINT_SHARE))
    counted = gaze.weight[frame] > 0
    for x, y in gaze.xy[frame][counted].tolist():
        centre = round(x * columns), round(y * rows)
        if hollow:
            cv2.circle(drawn, centre, radius, RIM, 3, cv2.LINE_AA)
            cv2.circle(drawn, centre, radius, POINT, 1, cv2.LINE_AA)
        else:
            cv2.circle(drawn, centre, radius, RIM, -1, cv2.LINE_AA)
            cv2.circle(drawn, centre, max(2, radius - 2), POINT, -1, cv2.LINE_AA)
    return drawn


def heat(value: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any 4"]:
    """Return colour and opacity of values in [0, 1].

    Nothing is transparent, more is darker and redder.
    """
    colour = colormaps[HEAT](value)
    colour[..., 3] = HEAT_OPACITY * value
    return colour


def with_density(
    image: UInt8[np.ndarray, "y x 3"], over_uniform: Float[np.ndarray, "row column"], covered: View, norm: Normalize
) -> UInt8[np.ndarray, "y x 3"]:
    """Colour the faded frame by a density, where its grid covers it."""
    return laid_on(image, coloured(over_uniform, covered, norm, *image.shape[:2]))


def coloured(
    over_uniform: Float[np.ndarray, "row column"], covered: View, norm: Normalize, height: int, width: int
) -> Float[np.ndarray, "height width 4"]:
    """Return colour and opacity of a density on a frame of some size; nothing is transparent."""
    rows, columns = over_uniform.shape
    across = ((np.arange(width) + 0.5) / width - covered.left) / (covered.right - covered.left) * columns
    down = ((np.arange(height) + 0.5) / height - covered.top) / (covered.bottom - covered.top) * rows
    inside = np.logical_and.outer((down >= 0) & (down < rows), (across >= 0) & (across < columns))
    cells = over_uniform[np.ix_(down.astype(int).clip(0, rows - 1), across.astype(int).clip(0, columns - 1))]
    return heat(np.asarray(norm(cells)).clip(0, 1) * inside)


def laid_on(image: UInt8[np.ndarray, "y x 3"], colour: Float[np.ndarray, "y x 4"]) -> UInt8[np.ndarray, "y x 3"]:
    """Lay colours over the faded frame."""
    opacity = colour[..., 3:]
    return np.round(255 * ((1 - opacity) * faded(image, 0.2, 0.92) + opacity * colour[..., :3])).astype(np.uint8)


def jpeg(image: UInt8[np.ndarray, "y x 3"]) -> bytes:
    """Encode an RGB image."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
