"""The flow estimator: direction, and inputs that it refuses."""

import numpy as np
import pytest

from gaze_vlm.gaze.flow import DIS_PRESETS, DisFlow


@pytest.mark.parametrize("preset", sorted(DIS_PRESETS))
def test_flow_points_from_source_to_target(preset: str) -> None:
    rows, columns = np.mgrid[:96, :128]
    blob = lambda x, y: (255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 200)).astype(np.uint8)  # noqa: E731
    flow = DisFlow(preset)(blob(60, 50), blob(64, 48))
    assert flow.dtype == np.float32
    # Where the blob is steep; the flat parts have no flow of their own.
    np.testing.assert_allclose(flow[46:54, 54:66].mean(axis=(0, 1)), [4, -2], atol=0.7)


def test_unknown_preset() -> None:
    with pytest.raises(ValueError, match="'slow' is unknown; use one of ultrafast"):
        DisFlow("slow")  # type: ignore[arg-type]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("shape", [(96, 100), (8, 128)])
def test_frames_of_wrong_shape(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="two grey frames of one size"):
        DisFlow()(np.zeros((8, 128), np.uint8), np.zeros(shape, np.uint8))
