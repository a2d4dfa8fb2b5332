"""Optical flow between two frames: where each pixel of the first one went."""

from typing import Literal, Protocol

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

DisPreset = Literal["ultrafast", "fast", "medium"]
DIS_PRESETS: dict[str, int] = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class FlowEstimator(Protocol):
    """Any estimator of dense flow."""

    def __call__(
        self, source: UInt8[np.ndarray, "height width"], target: UInt8[np.ndarray, "height width"]
    ) -> Float32[np.ndarray, "height width 2"]:
        """Flow in pixels, (x, y): what is at p in `source` is at p + flow[p] in `target`."""
        ...


class DisFlow:
    """Dense inverse search (Kroeger et al., 2016) of OpenCV: no weights, milliseconds a frame on a CPU.

    Without `refine` the variational refinement at the end is left out. It smooths the flow across the edges
    of occluders in both directions alike, which hides them from the forward-backward check, and takes half
    the time.

    Raises:
        ValueError: an unknown preset, or frames that are not grey, differ in size or are below 16 px.
    """

    def __init__(self, preset: DisPreset = "medium", refine: bool = False) -> None:
        if preset not in DIS_PRESETS:
            raise ValueError(f"flow preset {preset!r} is unknown; use one of {', '.join(DIS_PRESETS)}")
        self.preset = preset
        self._dis = cv2.DISOpticalFlow.create(DIS_PRESETS[preset])
        if not refine:
            self._dis.setVariationalRefinementIterations(0)

    def __call__(
        self, source: UInt8[np.ndarray, "height width"], target: UInt8[np.ndarray, "height width"]
    ) -> Float32[np.ndarray, "height width 2"]:
        """Flow from `source` to `target` in pixels, (x, y)."""
        if source.shape != target.shape or source.ndim != 2 or min(source.shape) < 16:
            raise ValueError(f"flow needs two grey frames of one size, 16 px or more: {source.shape}, {target.shape}")
        # DIS takes contiguous images only; a crop is none.
        images = np.ascontiguousarray(source), np.ascontiguousarray(target)
        return self._dis.calc(*images, None)  # type: ignore[call-overload]
