"""Optical flow between two frames: where each pixel of the first one went."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, get_args

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from gaze_vlm.errors import InputError

FlowName = Literal["dis_points", "dis", "raft_small", "raft_large"]
FLOWS: tuple[FlowName, ...] = get_args(FlowName)
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
        """Return flow in pixels, (x, y): p in `source` is at p + flow[p] in `target`."""
        ...


class DisFlow:
    """Dense inverse search of OpenCV (Kroeger et al., 2016).

    It needs no weights, and takes milliseconds a frame on a CPU. Without `refine` the variational refinement at the end
    is left out. It smooths the flow across the edges of occluders in both directions alike, which hides them from the
    forward-backward check, and takes half the time.

    Args:
        preset: OpenCV's.
        refine: whether to smooth the flow.
        finest_scale: flow is computed on frames halved so often; the preset's if None.
        stride: pixels from one patch to the next; the preset's if None.
        iterations: of the search for a patch; the preset's if None.

    Raises:
        InputError: the preset is unknown, or frames are not grey, differ in size or are below 16 px.
    """

    def __init__(
        self,
        preset: DisPreset = "medium",
        refine: bool = False,
        finest_scale: int | None = None,
        stride: int | None = None,
        iterations: int | None = None,
    ) -> None:
        if preset not in DIS_PRESETS:
            raise InputError(f"flow preset {preset!r} is unknown; use one of {', '.join(DIS_PRESETS)}")
        self.preset = preset
        self._dis = dis = cv2.DISOpticalFlow.create(DIS_PRESETS[preset])
        if not refine:
            dis.setVariationalRefinementIterations(0)
        self._patch_px = dis.getPatchSize()
        self._finest_scale = dis.getFinestScale() if finest_scale is None else finest_scale
        self._stride = dis.getPatchStride() if stride is None else stride
        if iterations is not None:
            dis.setGradientDescentIterations(iterations)

    def __call__(
        self, source: UInt8[np.ndarray, "height width"], target: UInt8[np.ndarray, "height width"]
    ) -> Float32[np.ndarray, "height width 2"]:
        """Return the flow from `source` to `target` in pixels, (x, y)."""
        if source.shape != target.shape or source.ndim != 2 or min(source.shape) < 16:
            raise InputError(f"flow needs two grey frames of one size, 16 px or more: {source.shape}, {target.shape}")
        # For a small frame DIS chooses other scales and patches, and keeps them: each call must set its own.
        self._dis.setFinestScale(self._finest_scale)
        self._dis.setPatchSize(self._patch_px)
        self._dis.setPatchStride(self._stride)
        # DIS takes contiguous images only; a crop is none.
        images = np.ascontiguousarray(source), np.ascontiguousarray(target)
        return self._dis.calc(*images, None)  # type: ignore[call-overload]


@dataclass(frozen=True)
class FlowOptions:
    """Which estimator, and its settings; see `PreparationParameters`.

    `weights` and `device` are RAFT's, `preset` and `refine` those of DIS on whole frames.
    """

    name: FlowName = "dis_points"
    weights: Path | None = None
    device: str = "cpu"
    preset: DisPreset = "medium"
    refine: bool = False


def flow_estimator(options: FlowOptions) -> FlowEstimator:
    """Return the estimator of dense flow that `options` ask for.

    `dis_points` is none (gaze/transport.py).

    Raises:
        InputError: the name is unknown, or weights are missing or of another network.
    """
    if options.name == "dis":
        return DisFlow(options.preset, options.refine)
    if options.name not in FLOWS:
        raise InputError(f"flow {options.name!r} is unknown; use one of {', '.join(FLOWS)}")
    if options.weights is None:
        raise InputError(f"flow {options.name} needs weights: give their file as flow_weights")
    # RAFT alone needs torch, and workers without it start in a tenth of the time.
    estimator: FlowEstimator = import_module("gaze_vlm.gaze.raft").RaftFlow(
        options.name, options.weights, options.device
    )
    return estimator
