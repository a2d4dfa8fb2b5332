"""Carrying and the occlusion tests, on flows that are known and on synthetic images."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from gaze_vlm.gaze.flow import DisFlow
from gaze_vlm.gaze.occlusion import (
    LOCAL_EPSILON,
    carry,
    error_at,
    forward_backward_error,
    from_px,
    inside,
    occluded_share,
    sample,
    to_px,
    visible,
)

WIDTH_PX, HEIGHT_PX = 128, 96


def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (HEIGHT_PX + 40, WIDTH_PX + 40)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.clip((smooth - smooth.mean()) * 5 + 128, 0, 255).astype(np.uint8)


def constant_flow(x_px: float, y_px: float) -> np.ndarray:
    return np.broadcast_to(np.float32([x_px, y_px]), (HEIGHT_PX, WIDTH_PX, 2)).copy()


def test_pixel_coordinates_go_both_ways() -> None:
    points = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.25]])
    np.testing.assert_allclose(to_px(points, 128, 96), [[-0.5, -0.5], [127.5, 95.5], [63.5, 23.5]])
    np.testing.assert_allclose(from_px(to_px(points, 128, 96), 128, 96), points)


def test_inside_has_the_border_and_no_nan() -> None:
    points = np.array([[-0.5, 0.0], [127.5, 95.5], [127.6, 0.0], [np.nan, 0.0]])
    assert inside(points, 128, 96).tolist() == [True, True, False, False]


def test_sample_is_bilinear() -> None:
    field = np.random.default_rng(0).normal(size=(HEIGHT_PX, WIDTH_PX, 2)).astype(np.float32)
    points = np.random.default_rng(1).uniform(1, 90, (50, 2))
    expected = [map_coordinates(field[..., c], points[:, ::-1].T, order=1) for c in range(2)]
    # OpenCV rounds places to 1/32 px.
    np.testing.assert_allclose(sample(field, points), np.stack(expected, axis=-1), atol=0.15)
    ramp = np.mgrid[:HEIGHT_PX, :WIDTH_PX][::-1].transpose(1, 2, 0).astype(np.float32)
    np.testing.assert_allclose(sample(ramp, points), points, atol=1 / 32)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sample_takes_any_number_of_channels(channels: int) -> None:
    field = np.random.default_rng(0).normal(size=(HEIGHT_PX, WIDTH_PX, channels)).astype(np.float32)
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX].astype(float)
    np.testing.assert_allclose(sample(field, np.stack([columns, rows], axis=-1)), field, atol=1e-6)


def test_carry_along_a_constant_flow() -> None:
    points = np.array([[10.25, 20.5], [126.0, 95.0]])
    np.testing.assert_allclose(carry(points, constant_flow(3.5, -2)), points + np.array([3.5, -2]), atol=1e-4)


def test_error_of_consistent_flows_is_zero_and_infinite_where_pixels_leave() -> None:
    error = forward_backward_error(constant_flow(5, 0), constant_flow(-5, 0))
    assert np.isinf(error[:, -5:]).all()
    np.testing.assert_allclose(error[:, :-5], 0, atol=1e-6)


def test_error_is_the_length_of_the_miss() -> None:
    error = forward_backward_error(constant_flow(5, 0), constant_flow(-2, 4))
    np.testing.assert_allclose(error[:, :-5], 5, atol=1e-5)


@pytest.mark.usefixtures("unchecked_shapes")
def test_flows_of_different_shapes() -> None:
    with pytest.raises(ValueError, match="must both be"):
        forward_backward_error(constant_flow(0, 0), constant_flow(0, 0)[:-1])


def test_error_at_is_a_median_over_the_disc() -> None:
    error = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.float32)
    error[40, 40] = 9  # a single bad vector
    error[60:70, 60:70] = 7
    points = np.array([[40.0, 40.0], [64.0, 64.0], [-3.0, 5.0], [0.0, 0.0]])
    np.testing.assert_array_equal(error_at(points, error, 1.5), [0, 7, np.inf, 0])
    np.testing.assert_array_equal(error_at(points[:1], error, 0), [9])
    np.testing.assert_array_equal(error_at(np.array([[40.4, 39.6]]), error, 0), [9])
    assert error_at(np.zeros((0, 2)), error, 1).shape == (0,)


def test_occluded_share_counts_infinite_pixels() -> None:
    error = np.array([[0.0, 1.0], [3.0, np.inf]], dtype=np.float32)
    assert occluded_share(error, 2.0) == 0.5


def test_visible_rules() -> None:
    error = np.array([0.0, LOCAL_EPSILON * 2, np.inf])
    share = np.array([0.7, 0.1, 0.1])
    assert visible(error, share, "local").tolist() == [True, False, False]
    assert visible(error, share, "local", epsilon=1).tolist() == [True, True, False]
    assert visible(error, share, "frame").tolist() == [False, True, True]
    assert visible(error, share, "frame", eta=0.8).tolist() == [True, True, True]
    assert visible(error, share, "none").all()
    with pytest.raises(ValueError, match="'all'"):
        visible(error, share, "all")  # type: ignore[arg-type]


def test_translated_image_is_followed() -> None:
    large = texture(0)
    source, target = (
        large[10 : 10 + HEIGHT_PX, 10 : 10 + WIDTH_PX],
        large[7 : 7 + HEIGHT_PX, 5 : 5 + WIDTH_PX],
    )
    flow = DisFlow("medium")
    forward, backward = flow(source, target), flow(target, source)
    points = np.array([[30.0, 30.0], [64.2, 50.7], [90.0, 70.0]])
    np.testing.assert_allclose(carry(points, forward), points + np.array([5, 3]), atol=0.3)
    error = forward_backward_error(forward, backward)
    assert (error_at(points, error, 1.5) < 0.3).all()
    assert occluded_share(error, 20 / 1088 * WIDTH_PX) < 0.15  # the strips that leave


def test_local_test_sees_an_occluder_that_the_frame_test_misses() -> None:
    source = texture(1)[:HEIGHT_PX, :WIDTH_PX]
    target = source.copy()
    target[30:60, 40:70] = texture(2)[:30, :30]  # something came between the eye and this place
    flow = DisFlow("medium")
    error = forward_backward_error(flow(source, target), flow(target, source))
    points = np.array([[55.0, 45.0], [10.0, 80.0], [110.0, 45.0]])
    at_points = error_at(points, error, WIDTH_PX / 96) / WIDTH_PX
    share = np.full(3, occluded_share(error, 20 / 1088 * WIDTH_PX))
    assert visible(at_points, share, "local").tolist() == [False, True, True]
    assert visible(at_points, share, "frame").all()


def test_large_frames() -> None:
    forward = np.zeros((480, 640, 2), dtype=np.float32)
    assert forward_backward_error(forward, forward).max() == 0


def test_the_error_does_not_depend_on_where_arrays_lie() -> None:
    """It is written to stores, of which two preparations must have the same bytes."""
    rng = np.random.default_rng(0)
    forward = rng.normal(0, 0.01, (49, 53, 2)).astype(np.float32)
    backward = (-forward + rng.normal(0, 1e-4, forward.shape)).astype(np.float32)
    kept, found = [], set()
    for size in range(200):  # shifts what is allocated next
        kept.append(np.empty(16 * size + 1, dtype=np.uint8))
        found.add(forward_backward_error(forward, backward).tobytes())
    assert len(found) == 1
