"""Gaze on disk against gaze in memory."""

import numpy as np
import pytest

from gaze_vlm import spool
from gaze_vlm.gaze.samples import GazeSamples, SpooledGaze


def samples(t_s: np.ndarray) -> GazeSamples:
    return GazeSamples(t_s, np.stack([t_s, -t_s], axis=1), (2 * t_s + 6).astype(np.uint8) % 6)


def test_pieces_and_windows_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "PIECE", 4)
    t_s = np.sort(np.random.default_rng(0).integers(-3, 20, 50)) / 2  # many at one time
    whole = samples(t_s)
    gaze = SpooledGaze.of([samples(t_s[:0]), samples(t_s[:9]), samples(t_s[9:])])
    for name in ("t_s", "xy", "event"):
        np.testing.assert_array_equal(getattr(gaze[:], name), getattr(whole, name))
    assert [piece.t_s.tolist() for piece in gaze.pieces()] == [t_s[i : i + 4].tolist() for i in range(0, 50, 4)]
    assert [piece.t_s.tolist() for piece in gaze.pieces(before=2)] == [
        t_s[max(0, i - 2) : i + 4].tolist() for i in range(0, 50, 4)
    ]
    for after_s, until_s in ((-9, 99), (-9, -8), (98, 99), (1.0, 1.5), (0.9, 4.1), (2, 1)):
        found = gaze.window(after_s, until_s)
        np.testing.assert_array_equal(found.t_s, t_s[(after_s < t_s) & (t_s <= until_s)])
        np.testing.assert_array_equal(found.xy[:, 0], found.t_s)


def test_no_gaze_at_all() -> None:
    gaze = SpooledGaze.of([])
    assert (len(gaze), len(gaze[:]), len(gaze.window(0, 1)), list(gaze.pieces())) == (0, 0, 0, [])


def test_pieces_must_follow_each_other() -> None:
    with pytest.raises(ValueError, match="not in order of time"):
        SpooledGaze.of([samples(np.array([1.0, 2.0])), samples(np.array([1.5]))])
