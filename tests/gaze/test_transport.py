"""Carrying points between two frames: synthetic motion, borders, cuts, and frames of any size."""

from functools import partial

import cv2
import numpy as np
import pytest

from gaze_vlm.gaze.flow import DisFlow, FlowOptions
from gaze_vlm.gaze.occlusion import FRAME_EPSILON, FRAME_ETA, LOCAL_EPSILON, inside
from gaze_vlm.gaze.transport import MARGIN_PX, AroundPoints, Transport, WholeFrame, transport_by

WIDTH_PX, HEIGHT_PX = 256, 192
RADIUS = 1 / 96


@pytest.fixture(params=["dis_points", "dis"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return transport_by(FlowOptions(request.param), RADIUS, FRAME_EPSILON)


def texture(seed: int, height_px: int = HEIGHT_PX + 120, width_px: int = WIDTH_PX + 120) -> np.ndarray:
    """Grey noise, coarse and fine: flow finds its way on it over tens of pixels."""
    random = np.random.default_rng(seed)
    total = np.zeros((height_px, width_px), np.float32)
    for sigma, weight in ((2.5, 1.0), (8, 1.5), (24, 2.0)):
        noise = cv2.GaussianBlur(random.normal(size=total.shape).astype(np.float32), (0, 0), sigma)
        total += weight * noise / noise.std()
    return np.clip(25 * total + 128, 0, 255).astype(np.uint8)


def view(image: np.ndarray, x: int, y: int) -> np.ndarray:
    return image[y : y + HEIGHT_PX, x : x + WIDTH_PX]


@pytest.mark.parametrize("move", [(0, 0), (3, -2), (-17, 9), (24, -14)])
def test_points_follow_a_camera_that_pans(transport: Transport, move: tuple[int, int]) -> None:
    image = texture(0)
    source, target = view(image, 60, 60), view(image, 60 - move[0], 60 - move[1])
    points = np.array([[128.0, 96.0], [131.4, 99.7], [120.0, 101.2]])
    carried = transport(source, target, points)
    np.testing.assert_allclose(carried.points_px, points + move, atol=0.3)
    assert (carried.error < LOCAL_EPSILON / 3).all()
    left = 1 - (1 - abs(move[0]) / WIDTH_PX) * (1 - abs(move[1]) / HEIGHT_PX)
    assert carried.occluded_share == pytest.approx(left, abs=0.06)


@pytest.mark.parametrize("x", [0.5, 1, 3, 20, 128, 236, 253, 254.5])
@pytest.mark.parametrize("y", [0.5, 96, 190.5])
def test_points_anywhere_in_the_frame(x: float, y: float) -> None:
    """Windows at the border are shifted into the frame; what the pan moves out is outside, or has no way back."""
    image = texture(1)
    point = np.array([[x, y]], dtype=float)
    carried = AroundPoints(RADIUS, FRAME_EPSILON)(view(image, 60, 60), view(image, 66, 56), point)
    expected = point + np.array([-6, 4])
    if inside(expected, WIDTH_PX, HEIGHT_PX).all():
        np.testing.assert_allclose(carried.points_px, expected, atol=1)
    else:
        assert carried.error[0] > LOCAL_EPSILON or not inside(carried.points_px, WIDTH_PX, HEIGHT_PX).any()


def test_points_far_apart_move_each_with_its_thing(transport: Transport) -> None:
    """The window is as wide as the points: here the whole frame, and the things in it move differently."""
    source = texture(2)[:HEIGHT_PX, :WIDTH_PX]
    target = source.copy()
    target[80:140, 186:246] = source[80:140, 180:240]
    points = np.array([[4.0, 20.0], [210.0, 110.0], [250.0, 188.0]])
    carried = transport(source, target, points)
    np.testing.assert_allclose(carried.points_px - points, [[0, 0], [6, 0], [0, 0]], atol=0.4)


def test_a_cut_between_shots_hides_what_was_before_it(transport: Transport) -> None:
    """Unrelated frames agree somewhere by chance, both ways: most points are hidden, and the frame always is."""
    hidden = []
    for seed in range(3, 9):
        before, after = texture(seed)[:HEIGHT_PX, :WIDTH_PX], texture(seed + 10)[:HEIGHT_PX, :WIDTH_PX]
        for x in range(20, WIDTH_PX, 40):
            carried = transport(before, after, np.array([[x, 60.0], [x, 70.0]]))
            hidden.extend(carried.error > LOCAL_EPSILON)
            assert carried.occluded_share > FRAME_ETA
    assert np.mean(hidden) > 0.7


def test_what_something_covers_has_a_large_error(transport: Transport) -> None:
    source = texture(4)[:HEIGHT_PX, :WIDTH_PX]
    target = source.copy()
    target[70:120, 90:140] = texture(5)[:50, :50]
    points = np.array([[115.0, 95.0], [60.0, 95.0]])
    assert (transport(source, target, points).error > LOCAL_EPSILON).tolist() == [True, False]


@pytest.mark.parametrize(("width_px", "height_px"), [(20, 90), (50, 40), (64, 48), (131, 97), (256, 40)])
def test_frames_of_any_size(width_px: int, height_px: int) -> None:
    """Down to those that are smaller than a window, or than a coarse frame."""
    image = texture(6, height_px, width_px + 1)
    source, target = image[:, 1:], image[:, :-1]
    carried = AroundPoints(RADIUS, FRAME_EPSILON)(source, target, np.array([[width_px / 2, height_px / 2]]))
    np.testing.assert_allclose(carried.points_px, [[width_px / 2 + 1, height_px / 2]], atol=0.4)


def test_points_do_not_depend_on_what_was_carried_before() -> None:
    """A small frame makes DIS choose other scales, and keep them: a store would depend on the order of its work."""
    image = texture(7)
    source, target = view(image, 60, 60), view(image, 55, 57)
    points = np.array([[128.0, 96.0]])
    flow = DisFlow("medium")
    for make in (partial(AroundPoints, RADIUS, FRAME_EPSILON), partial(WholeFrame, flow, RADIUS, FRAME_EPSILON)):
        fresh, used = make(), make()
        first = fresh(source, target, points)
        used(source[:20, :20], target[:20, :20], np.array([[10.0, 10.0]]))
        again = used(source, target, points)
        np.testing.assert_array_equal(again.points_px, first.points_px)
        np.testing.assert_array_equal(again.error, first.error)
        assert again.occluded_share == first.occluded_share


def test_a_window_is_wider_than_what_its_flow_needs() -> None:
    """The error's disc and the way back must lie in it, on the widest frames that the default allows."""
    assert MARGIN_PX > 2 * RADIUS * WIDTH_PX + 16
