"""Windows of gaze, and samples that do not belong together."""

import numpy as np
import pytest

from gaze_vlm.gaze.samples import GazeSamples


def samples(t_s: np.ndarray) -> GazeSamples:
    return GazeSamples(t_s, np.stack([t_s, -t_s], axis=1), (2 * t_s + 6).astype(np.uint8) % 6)


@pytest.mark.parametrize("span", [(-9, 99), (-9, -8), (98, 99), (1.0, 1.5), (0.9, 4.1), (2, 1)])
def test_a_window_is_open_at_its_start_and_closed_at_its_end(span: tuple[float, float]) -> None:
    t_s = np.sort(np.random.default_rng(0).integers(-3, 20, 50)) / 2  # many at one time
    after_s, until_s = span
    found, expected = samples(t_s).window(after_s, until_s), samples(t_s[(after_s < t_s) & (t_s <= until_s)])
    for name in ("t_s", "xy", "event"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_no_gaze_at_all() -> None:
    assert len(samples(np.zeros(0)).window(0, 1)) == 0


@pytest.mark.usefixtures("unchecked_shapes")
def test_samples_must_be_in_order_and_of_one_length() -> None:
    with pytest.raises(ValueError, match="not sorted by time"):
        samples(np.array([1.0, 2.0, 1.5]))
    with pytest.raises(ValueError, match="t_s 2, xy 1, event 2"):
        GazeSamples(np.zeros(2), np.zeros((1, 2)), np.zeros(2, dtype=np.uint8))
