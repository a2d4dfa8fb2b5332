"""Carrying points from one frame to another by optical flow: over whole frames, or about the points alone."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from gaze_vlm.gaze.flow import DisFlow, FlowEstimator, FlowOptions, flow_estimator
from gaze_vlm.gaze.occlusion import carry, error_at, forward_backward_error, from_px, occluded_share, to_px

MARGIN_PX = 24  # of a window about the points; 3 of the flow's patches, enough for what coarse flow misses
COARSE_SCALE = 3 / 8  # of the frame
COARSE_SHARE = 1 / 3  # of the coarse flow's error, which is noisier: unrelated windows agree by chance, frames do not
COARSE_LEAST_PX = 64  # longer side of a coarse frame, below which its flow is of few patches
FLOW_LEAST_PX = 16  # shorter side of a frame that DIS takes


class Carried(NamedTuple):
    """Where points of a source frame are in the target frame, and how sure that is.

    `points_px` [point, 2] may be outside the frame. `error` [point] is the forward-backward error in fractions of the
    frame's width, ∞ where there is no way back. `occluded_share` is of the source frame's pixels.
    """

    points_px: Float[np.ndarray, "point 2"]
    error: Float[np.ndarray, " point"]
    occluded_share: float


class Transport(ABC):
    """A way of carrying points between two frames.

    Args:
        error_radius: the error at a point is the median over a disc of this radius, a fraction of the width.
        frame_epsilon: error above which a pixel counts as occluded, a fraction of the width.
    """

    def __init__(self, error_radius: float, frame_epsilon: float) -> None:
        self._error_radius = error_radius
        self._frame_epsilon = frame_epsilon

    @abstractmethod
    def __call__(
        self,
        source: UInt8[np.ndarray, "height width"],
        target: UInt8[np.ndarray, "height width"],
        points_px: Float[np.ndarray, "point 2"],
    ) -> Carried:
        """Carry points of `source`, at least one, all inside it, to `target`."""


class WholeFrame(Transport):
    """Flow of the whole frames, as in the paper.

    Args:
        flow: the estimator.
        error_radius, frame_epsilon: those of every transport.
    """

    def __init__(self, flow: FlowEstimator, error_radius: float, frame_epsilon: float) -> None:
        super().__init__(error_radius, frame_epsilon)
        self._flow = flow

    def __call__(
        self,
        source: UInt8[np.ndarray, "height width"],
        target: UInt8[np.ndarray, "height width"],
        points_px: Float[np.ndarray, "point 2"],
    ) -> Carried:
        """Carry points of `source` to `target`."""
        width = source.shape[1]
        forward, backward = _both_ways(self._flow, source, target)
        error = forward_backward_error(forward, backward)
        at_points = error_at(points_px, error, self._error_radius * width) / width
        return Carried(carry(points_px, forward), at_points, occluded_share(error, self._frame_epsilon * width))


class AroundPoints(Transport):
    """DIS flow in a window about the points, and coarse flow of the whole frame.

    In the window it is computed down to single pixels. The coarse flow gives the share of occluded pixels. Its median
    within the window is how far the window moves, so that the fine flow need only find what moves otherwise: a hand, an
    object, an occluder. The error is the fine flow's, or a third of the coarse one's if that is larger. Points far
    apart have a larger window, up to the frame.
    """

    def __init__(self, error_radius: float, frame_epsilon: float) -> None:
        super().__init__(error_radius, frame_epsilon)
        self._coarse_flow = DisFlow("medium", stride=4)
        self._fine_flow = DisFlow("medium", stride=4, finest_scale=0, iterations=12)
        self._target: UInt8[np.ndarray, "height width"] | None = None
        self._coarse_target: UInt8[np.ndarray, "rows columns"]

    def __call__(
        self,
        source: UInt8[np.ndarray, "height width"],
        target: UInt8[np.ndarray, "height width"],
        points_px: Float[np.ndarray, "point 2"],
    ) -> Carried:
        """Carry points of `source` to `target`."""
        frame_px = np.array(source.shape[::-1])
        scale = min(1.0, max(COARSE_SCALE, COARSE_LEAST_PX / frame_px.max(), FLOW_LEAST_PX / frame_px.min()))
        coarse_px = np.rint(scale * frame_px).astype(int)
        if target is not self._target:  # the frames of a window have one target
            self._target, self._coarse_target = target, _reduced(target, coarse_px)
        there, back = _both_ways(self._coarse_flow, _reduced(source, coarse_px), self._coarse_target)
        coarse_error = forward_backward_error(there, back)
        share = occluded_share(coarse_error, self._frame_epsilon * coarse_px[0])
        in_coarse = to_px(from_px(points_px, *frame_px), *coarse_px)
        least = COARSE_SHARE * error_at(in_coarse, coarse_error, self._error_radius * coarse_px[0]) / coarse_px[0]

        low, high = points_px.min(axis=0), points_px.max(axis=0)
        size = np.minimum(np.ceil(high - low).astype(int) + 2 * MARGIN_PX, frame_px)
        start = np.clip(np.rint((low + high - size) / 2).astype(int), 0, frame_px - size)
        nearby = _cut(there, np.floor(scale * start).astype(int), np.ceil(scale * size).astype(int))
        moved = np.rint(np.median(nearby.reshape(-1, 2), axis=0) / scale).astype(int)
        landing = np.clip(start + moved, 0, frame_px - size)

        there, back = _both_ways(self._fine_flow, _cut(source, start, size), _cut(target, landing, size))
        in_window = points_px - start
        fine_error = forward_backward_error(there, back)
        error = error_at(in_window, fine_error, self._error_radius * frame_px[0]) / frame_px[0]
        return Carried(carry(in_window, there) + landing, np.maximum(error, least), share)


def transport_by(options: FlowOptions, error_radius: float, frame_epsilon: float) -> Transport:
    """Return the transport that `options` ask for; see `WholeFrame` for the other two.

    Raises:
        InputError: the name is unknown, or weights are missing or of another network.
    """
    if options.name == "dis_points":
        return AroundPoints(error_radius, frame_epsilon)
    return WholeFrame(flow_estimator(options), error_radius, frame_epsilon)


def _both_ways(
    flow: FlowEstimator, source: UInt8[np.ndarray, "height width"], target: UInt8[np.ndarray, "height width"]
) -> tuple[Float32[np.ndarray, "height width 2"], Float32[np.ndarray, "height width 2"]]:
    return flow(source, target), flow(target, source)


def _reduced(
    image: UInt8[np.ndarray, "height width"], size_px: Int64[np.ndarray, "2"]
) -> UInt8[np.ndarray, "rows columns"]:
    return cv2.resize(image, size_px.tolist(), interpolation=cv2.INTER_AREA)


def _cut(field: np.ndarray, start: Int64[np.ndarray, "2"], size: Int64[np.ndarray, "2"]) -> np.ndarray:
    """Return the part of `field` at `start`, (x, y), and of `size`."""
    (left, top), (right, bottom) = start, start + size
    return field[top:bottom, left:right]
