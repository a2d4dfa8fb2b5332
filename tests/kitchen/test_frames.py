"""The pictures themselves: those that published numbers were made with, and what sketches do."""

import hashlib
import platform
from collections.abc import Iterable

import cv2
import numpy as np
import pytest
from scipy.signal import lfilter

from gaze_vlm.kitchen.canvas import Layer, Sketch, paint_labels, paint_picture
from gaze_vlm.kitchen.motion import follow, smooth_walk
from gaze_vlm.kitchen.scene import EGO4D_RATES, EGTEA_RATES, Rates
from gaze_vlm.kitchen.session import simulate_session
from gaze_vlm.pretraining.stills import stills

SIDE = 64


def digest(arrays: Iterable[np.ndarray]) -> str:
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(array.tobytes())
    return whole.hexdigest()


OPENCV = "5.0.0"
published = pytest.mark.skipif(
    cv2.__version__ != OPENCV or platform.machine() != "x86_64",
    reason=f"these digests are of OpenCV {OPENCV} on x86-64: others may round a pixel otherwise",
)


@published
@pytest.mark.parametrize(
    ("session", "rates", "frames", "labels"),
    [
        (
            (0, 1, 1),
            EGTEA_RATES,
            "6f847f31fd4231dc385d337ff741bf4cf28b63025eff848de77796ea886b3b17",
            "7befe4dc2bfd5ef644b6672104eb71df82aa5f31fe92b29517dc44e67d292944",
        ),
        (
            (1, 3, 4),
            EGO4D_RATES,
            "c6485e5dda93406e0f41c3f2f0e1fe869f510190920f45b839d710220dcf1b70",
            "f4d797f196abf09e972395f7d07509c67ea9a1621ada66cf2b97dec763005ea3",
        ),
    ],
)
def test_frames_are_those_that_published_numbers_were_made_with(
    session: tuple[int, int, int], rates: Rates, frames: str, labels: str
) -> None:
    scene = simulate_session(*session, rates=rates).scene
    some = range(0, scene.frame_count, 10)
    assert digest(scene.frame(index) for index in some) == frames
    assert digest(scene.labels(index).object_map for index in some) == labels


@published
def test_stills_are_those_that_published_backbones_were_made_with() -> None:
    rng = np.random.default_rng(0)
    shown = [still for _ in range(20) for still in stills(rng, 1)]
    assert digest(still.image for still in shown) == (
        "44b03627efc691d54a3ff7f2b61adecf352d0a6f1f59a3c08061c423f35bbf73"
    )


def test_a_frame_does_not_depend_on_those_before_it() -> None:
    again, fresh = simulate_session(0, 1, 1).scene, simulate_session(0, 1, 1).scene
    first = again.frame(5)
    kept = first.copy()
    later = again.frame(300)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(later, fresh.frame(300))


def painted(sketch: Sketch, turn: complex) -> np.ndarray:
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    paint_picture(image, [Layer(sketch, complex(SIDE, SIDE) / 2, turn, 1)], 1.0)
    return image


def test_a_polygon_turns_with_its_sketch_and_a_circle_turns_its_middle() -> None:
    bar, disc = Sketch(), Sketch()
    bar.polygon([(1.0, -0.5), (3.0, -0.5), (3.0, 0.5), (1.0, 0.5)], (255, 255, 255))
    disc.disc((2.0, 0.0), 0.5, (255, 255, 255))
    for sketch in (bar, disc):
        rows, columns = np.nonzero(painted(sketch, 8j)[..., 0])  # a quarter turn: x points down
        assert abs(columns.mean() - SIDE / 2) < 1
        assert abs(rows.mean() - SIDE / 2 - 16) < 1


def test_an_upright_ellipse_stays_upright_and_another_turns() -> None:
    for turns in (False, True):
        sketch = Sketch()
        sketch.ellipse((0.0, 0.0), (3.0, 1.0), (255, 255, 255), turns=turns)
        rows, columns = np.nonzero(painted(sketch, 8j)[..., 0])
        assert (np.ptp(rows) > 2 * np.ptp(columns)) == turns
        assert (np.ptp(columns) > 2 * np.ptp(rows)) != turns


def test_strokes_drawn_together_are_those_drawn_one_by_one() -> None:
    lines = [((-2.0, -1.0), (2.0, 1.0)), ((-2.0, 1.0), (2.0, -1.5)), ((0.0, -2.0), (0.1, 2.0))]
    together, one_by_one = Sketch(), Sketch()
    together.strokes(lines, 0.4, (200, 120, 40))
    for start, end in lines:
        one_by_one.stroke(start, end, 0.4, (200, 120, 40))
    assert painted(together, 8 + 2j).any()
    np.testing.assert_array_equal(painted(together, 8 + 2j), painted(one_by_one, 8 + 2j))


def test_nothing_is_painted_beyond_the_reach_of_a_sketch() -> None:
    sketch = Sketch()
    sketch.disc((1.0, 0.0), 0.5, (255, 255, 255))
    sketch.stroke((0.0, 0.0), (-1.0, -1.0), 0.4, (255, 255, 255))
    rows, columns = np.nonzero(painted(sketch, 10)[..., 0])
    farthest = np.hypot(rows - SIDE / 2, columns - SIDE / 2).max()
    assert farthest < 10 * sketch.reach + 2


def test_shapes_without_a_label_hide_those_below() -> None:
    thing, cover = Sketch(), Sketch()
    thing.disc((0.0, 0.0), 2.0, (1, 2, 3))
    cover.labelled = False
    cover.disc((0.0, 0.0), 1.0, (1, 2, 3))
    labels = np.zeros((SIDE, SIDE), np.uint8)
    paint_labels(labels, [Layer(thing, 32 + 32j, 8, 7), Layer(cover, 32 + 32j, 8, 9)])
    assert labels[32, 32] == 0
    assert labels[32, 32 + 12] == 7


def test_the_head_follows_as_a_filter_of_first_order_does() -> None:
    t_s = np.arange(0, 3, 1 / EGTEA_RATES.tick_hz)
    target = np.random.default_rng(1).random((len(t_s), 2))
    camera = follow(np.random.default_rng(2), t_s, target)

    rng, rest = np.random.default_rng(2), np.array([0.5, 0.36])
    gain = 1 - np.exp(-(t_s[1] - t_s[0]) / 0.55)
    start = rest + rng.normal(0.0, 0.03, 2)
    turned, _ = lfilter([gain], [1, gain - 1], rest + 0.4 * (target - rest), axis=0, zi=(1 - gain) * start[None])
    sway = smooth_walk(rng, t_s, 0.025, 0.6, 2) + smooth_walk(rng, t_s, 0.006, 0.13, 2)
    np.testing.assert_array_equal(camera.centre, turned + sway)
