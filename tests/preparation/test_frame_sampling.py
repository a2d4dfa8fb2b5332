"""The work on one video: sampling, carrying, and gaze that is short, outside or missing."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from egtea_files import shift_px, texture, write_video
from gaze_vlm.formats.video import Pixels, timed_frames
from gaze_vlm.gaze.flow import FlowName
from gaze_vlm.gaze.occlusion import to_px, visible
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples
from gaze_vlm.gaze.transport import Carried
from gaze_vlm.preparation import frame_sampling
from gaze_vlm.preparation.frame_sampling import GreyFrames, carry_window, prepare_video, sample_frames
from gaze_vlm.preparation.parameters import PreparationParameters

PARAMETERS = PreparationParameters()


@pytest.fixture(scope="module")
def panning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a camera that pans over a still scene."""
    image = texture(0)
    images = [image[:96, shift_px(i) :][:, :128] for i in range(96)]
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", images)


def gaze_of(rows: list[tuple[float, float, float, GazeEvent]]) -> GazeSamples:
    t_s, x, y, event = zip(*rows, strict=True)
    xy = np.stack([x, y], axis=1).astype(float)
    return GazeSamples(np.array(t_s), xy, np.array(event, dtype=np.uint8))


def shown(path: Path, t_s: float) -> int:
    """Brute force: pts of the frame on screen at `t_s`."""
    return [frame.pts for frame in timed_frames(path) if frame.t_s <= t_s + 1e-6][-1]


def test_samples_are_the_frames_on_screen_at_the_grid(panning: Path) -> None:
    found = list(sample_frames(panning, timed_frames(panning), 1.0, 0.2))
    assert [sampled.t_s for sampled in found] == [1, 2, 3, 4]
    assert [sampled.target.pts for sampled in found] == [shown(panning, t_s) for t_s in (1, 2, 3, 4)]


@pytest.mark.parametrize(("frame_hz", "window_s"), [(1.0, 0.2), (4.0, 0.5), (2.5, 0.05)])
def test_windows_on_a_variable_frame_rate(tmp_path: Path, frame_hz: float, window_s: float) -> None:
    ticks = np.random.default_rng(0).choice([100, 200, 2000], 60, p=[0.5, 0.45, 0.05]).cumsum()
    path = write_video(tmp_path / "v.mp4", [texture(0)[:96, :128]] * 60, ticks - ticks[0])
    frames = list(timed_frames(path))
    end_s = frames[-1].t_s + frames[-1].duration_s
    found = list(sample_frames(path, frames, frame_hz, window_s))
    assert len(found) == int(end_s * frame_hz + 1e-6)
    for k, sampled in enumerate(found):
        t_s = (k + 1) / frame_hz
        starts = [frame for frame in frames if frame.t_s <= t_s + 1e-6]
        before = [frame for frame in starts if frame.t_s <= t_s - window_s + 1e-6]
        expected = [frame.pts for frame in starts[max(0, len(before) - 1) :]]
        assert [frame.pts for frame in sampled.shown] == expected
        assert sampled.target.pts == expected[-1]


def test_points_are_carried_with_the_scene(panning: Path) -> None:
    """The pan moves the scene point left; all samples land where it is in the sampled frame."""
    rows = []
    for i in range(20, 25):
        rows.append((i / 24, (100.5 - shift_px(i)) / 128, 0.5, GazeEvent.FIXATION))
    gaze = prepare_video(panning, gaze_of(rows), PARAMETERS)
    expected = (100.5 - shift_px(24)) / 128
    assert gaze.event[0].tolist() == [GazeEvent.FIXATION] * 5
    np.testing.assert_allclose(gaze.xy[0, :, 0], expected, atol=0.5 / 128)
    np.testing.assert_allclose(gaze.xy[0, :, 1], 0.5, atol=0.5 / 96)
    np.testing.assert_allclose(gaze.raw_xy[0, :, 0], [row[1] for row in rows], atol=1e-6)
    np.testing.assert_allclose(gaze.age_s[0], [4 / 24, 3 / 24, 2 / 24, 1 / 24, 0], atol=1e-6)
    assert (gaze.error[0] < 1 / 96).all()
    assert gaze.error[0, -1] == gaze.occluded_share[0, -1] == 0  # of the sampled frame itself
    assert (gaze.occluded_share[0, :-1] > 0).all()  # the strip that the pan moves out
    assert gaze.counts.carried == 4


def test_window_is_open_at_its_start_and_closed_at_its_end(panning: Path) -> None:
    gaze = gaze_of([(0.8, 0.5, 0.5, 0), (0.81, 0.5, 0.5, 0), (1.0, 0.5, 0.5, 0), (1.01, 0.5, 0.5, 0)])
    assert prepare_video(panning, gaze, PARAMETERS).age_s[0].tolist() == pytest.approx([0.19, 0.0])


@pytest.mark.parametrize("window_s", [0.2, 0.5])
def test_six_points_at_30_hz_whatever_window_was_prepared(panning: Path, window_s: float) -> None:
    rows = [(k / 30, 0.5, 0.5, GazeEvent.FIXATION) for k in range(120)]
    gaze = prepare_video(panning, gaze_of(rows), PreparationParameters(window_s=window_s))
    assert (gaze.event <= GazeEvent.UNKNOWN).sum(axis=1)[:3].tolist() == [30 * window_s] * 3
    assert gaze.valid_points(window_s=0.2).sum(axis=1).tolist() == [
        6,
        6,
        6,
        5,
    ]  # the last one is after them all


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.97])
def test_a_frames_own_interval_has_a_point_at_the_videos_rate(tmp_path: Path, phase: float) -> None:
    """A tracker of 30 Hz on a clock of its own, a video of 30 frames a second, sampled at every frame."""
    path = write_video(tmp_path / "v.mp4", [texture(0)[:96, :128]] * 60, frame_hz=30)
    rows = [((k + phase) / 30, 0.5, 0.5, GazeEvent.FIXATION) for k in range(-1, 61) if k + phase >= 0]
    gaze = prepare_video(path, gaze_of(rows), PreparationParameters(frame_hz=30.0, window_s=0.2))
    assert gaze.valid_points(window_s=0).sum(axis=1).tolist() == [1] * 60


def test_gaze_that_ends_before_the_video_is_untracked_after_it(panning: Path) -> None:
    gaze = prepare_video(panning, gaze_of([(0.95, 0.5, 0.5, GazeEvent.FIXATION)]), PARAMETERS)
    assert gaze.event.tolist() == [[GazeEvent.FIXATION]] + [[GazeEvent.UNTRACKED]] * 3
    assert np.isnan(gaze.xy[1:]).all()


def test_gaze_longer_than_the_video(panning: Path) -> None:
    rows = [(k / 10, 0.5, 0.5, GazeEvent.FIXATION) for k in range(100)]
    assert prepare_video(panning, gaze_of(rows), PARAMETERS).event.shape[0] == 4


def test_events_are_kept_and_points_that_leave_are_marked(panning: Path) -> None:
    rows = [
        (20 / 24, 0.02, 0.5, GazeEvent.SACCADE),  # the pan moves it out at the left
        (21 / 24, np.nan, np.nan, GazeEvent.UNTRACKED),
        (22 / 24, 1.2, 0.5, GazeEvent.OUT_OF_FRAME),
        (23 / 24, 0.5, 0.5, GazeEvent.SACCADE),
    ]
    gaze = prepare_video(panning, gaze_of(rows), PARAMETERS)
    assert gaze.event[0].tolist() == [
        GazeEvent.OUT_OF_FRAME,
        GazeEvent.UNTRACKED,
        GazeEvent.OUT_OF_FRAME,
        GazeEvent.SACCADE,
    ]
    assert gaze.xy[0, 0, 0] < 0
    np.testing.assert_allclose(gaze.raw_xy[0, 0], [0.02, 0.5])
    assert np.isnan(gaze.xy[0, 1]).all()


@pytest.mark.parametrize("flow", ["dis_points", "dis"])
def test_a_point_at_the_border_has_a_finite_error(panning: Path, flow: FlowName) -> None:
    """The pan moves it to the border, and most of the disc around it out of the frame: occluded, not infinitely so."""
    left = (shift_px(24) - shift_px(20) + np.arange(0.1, 1, 0.1)) / 128
    rows = [(20 / 24, x, y, GazeEvent.FIXATION) for x in left for y in (0.1, 0.5, 0.9)]
    gaze = prepare_video(panning, gaze_of(rows), PreparationParameters(flow=flow))
    tracked = gaze.event[0] <= GazeEvent.UNKNOWN
    assert tracked.any()
    assert gaze.error[0][tracked].max() <= 1
    assert not gaze.invalid_points().any()
    assert (gaze.valid_points()[0] == (tracked & (gaze.error[0] < 1 / 96))).all()


def test_a_point_without_a_way_back_has_the_largest_error(panning: Path) -> None:
    """A frame's width, for a point that stays in the frame; ∞ for one that leaves it."""
    target, gone = np.array([[0.5, 0.5], [1.5, 0.5]]), np.full(2, np.inf)
    rows = [(20 / 24, x, 0.5, GazeEvent.FIXATION) for x in (0.3, 0.6)]
    [sampled] = list(sample_frames(panning, timed_frames(panning), 1.0, 0.2))[:1]
    points = carry_window(
        sampled,
        gaze_of(rows),
        GreyFrames(Pixels("gray", 128, 96)),
        lambda *_: Carried(to_px(target, 128, 96), gone, 0.5),
    )
    assert points.event.tolist() == [GazeEvent.FIXATION, GazeEvent.OUT_OF_FRAME]
    assert points.error.tolist() == [1, np.inf]


def test_occluded_point_has_a_large_error(tmp_path: Path) -> None:
    """A disc comes in from the left and covers the middle in the sampled frame, 24."""
    images = [np.ascontiguousarray(texture(9)[:96, :128]) for _ in range(25)]
    for i, image in enumerate(images):
        cv2.circle(image, (64 - 11 * (24 - i), 48), 18, (30, 30, 30), -1)
        cv2.circle(image, (64 - 11 * (24 - i), 48), 9, (220, 220, 220), -1)
    path = write_video(tmp_path / "v.mp4", images)
    rows = [(20 / 24, x / 128, 0.5, GazeEvent.FIXATION) for x in (64.5, 110.5)]
    gaze = prepare_video(path, gaze_of(rows), PARAMETERS)
    assert visible(gaze.error[0], gaze.occluded_share[0], "local").tolist() == [False, True]
    assert visible(gaze.error[0], gaze.occluded_share[0], "frame").tolist() == [True, True]


def test_a_window_without_earlier_gaze_carries_nothing(panning: Path) -> None:
    gaze = prepare_video(panning, gaze_of([(t_s, 0.3, 0.6, GazeEvent.FIXATION) for t_s in (1.0, 2.0, 3.0)]), PARAMETERS)
    assert gaze.counts.carried == 0
    np.testing.assert_array_equal(gaze.xy, gaze.raw_xy)
    assert not gaze.error.any()


def test_wide_frames_are_reduced_for_the_flow(panning: Path) -> None:
    rows = [(i / 24, (100.5 - shift_px(i)) / 128, 0.5, GazeEvent.FIXATION) for i in range(20, 25)]
    gaze = prepare_video(panning, gaze_of(rows), PreparationParameters(flow_max_width_px=64))
    np.testing.assert_allclose(gaze.xy[0, :, 0], (100.5 - shift_px(24)) / 128, atol=2 / 128)


def test_video_shorter_than_a_sample(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", [texture(0)[:96, :128]] * 12)
    with pytest.raises(ValueError, match=r"v.mp4: 0.50 s long"):
        prepare_video(path, gaze_of([(0.0, 0.5, 0.5, 0)]), PARAMETERS)


@pytest.mark.parametrize(
    ("gap_at", "last_s", "longest_s"),
    [(30, 1 / 24, (29 / 24, 2.25)), (30, 1.5, (95 / 24 + 1, 95 / 24 + 2.5)), (95, 1 / 24, (94 / 24, 95 / 24 + 1))],
)
def test_the_frame_that_is_on_screen_longest(
    gap_at: int, last_s: float, longest_s: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 96 frames one stays a second longer; the last one ends by its own duration."""
    path = write_video(
        tmp_path / "v.mp4", [texture(0)[:96, :128]] * 96, [100 * k + 2400 * (k >= gap_at) for k in range(96)]
    )
    frames = [*timed_frames(path)]
    frames[-1] = replace(frames[-1], duration_s=last_s)
    monkeypatch.setattr(frame_sampling, "timed_frames", lambda *_: iter(frames))
    counts = prepare_video(path, gaze_of([(0.5, 0.5, 0.5, GazeEvent.FIXATION)]), PARAMETERS).counts
    assert counts.longest_frame_s == pytest.approx(longest_s, abs=1e-3)
