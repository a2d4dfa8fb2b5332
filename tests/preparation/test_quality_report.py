"""Figures of gaze that is known: events, windows, clocks, points that leave the frame."""

from dataclasses import replace

import numpy as np
import pytest

from gaze_vlm.gaze.samples import GazeEvent, GazeSamples
from gaze_vlm.preparation.quality_report import VideoQuality, clock_figures, quality_report, summary
from gaze_vlm.preparation.video_gaze import FramePoints, VideoGaze


def points(
    frame: int, xy: list[tuple[float, float]], event: list[int], error: list[float], carried: int
) -> FramePoints:
    raw = np.array(xy, dtype=float).reshape(-1, 2)
    count = len(event)
    return FramePoints(
        t_s=frame + 1.0,
        pts=frame,
        xy=raw,
        raw_xy=raw,
        age_s=np.zeros(count),
        event=np.array(event, dtype=np.uint8),
        error=np.array(error, dtype=float),
        occluded_share=np.full(count, 0.25),
        carried=carried,
    )


@pytest.fixture
def video() -> VideoGaze:
    """Three frames: two points, one of them occluded; one that left the frame and one that never was in it; none."""
    rows = [
        points(0, [(0.01, 0.99), (0.5, 0.5)], [GazeEvent.FIXATION, GazeEvent.SACCADE], [0.1, 0], 2),
        points(1, [(0.9, 0.5), (1.2, 0.5)], [GazeEvent.OUT_OF_FRAME, GazeEvent.OUT_OF_FRAME], [np.inf, 0], 1),
        points(2, [], [], [], 0),
    ]
    t_s = 0.5 + np.arange(60) / 30
    event = np.array([GazeEvent.FIXATION] * 45 + [GazeEvent.UNTRACKED] * 15, dtype=np.uint8)
    gaze = GazeSamples(t_s, np.full((60, 2), 0.5), event)
    return VideoGaze.pack(rows, 4.0, gaze)


def test_counts_of_a_video(video: VideoGaze) -> None:
    quality = VideoQuality.of(video)
    row = quality.row()
    assert quality.windows.tolist() == [2, 0, 1]
    assert quality.centre.sum() == 2
    assert quality.centre[15, 0] == quality.centre[8, 8] == 1
    assert row["event_shares"]["fixation"] == pytest.approx(0.75)
    assert row["event_shares"]["untracked"] == pytest.approx(0.25)
    assert row["frames"] == {
        "total": 3,
        "without_gaze_share": pytest.approx(2 / 3),
        "valid_gaze_share": pytest.approx(1 / 3),
    }
    assert row["carried"] == {
        "total": 3,
        "occluded_share_local_test": pytest.approx(1 / 3),
        "occluded_share_frame_test": 0,
        "mean_occluded_pixel_share": pytest.approx(0.5 / 3),
        "left_frame": 1,
    }


def test_clock_of_a_video(video: VideoGaze) -> None:
    figures = clock_figures(video.counts)
    assert figures["sample_interval_s"] == pytest.approx(1 / 30)
    assert figures["drift"] == pytest.approx(0, abs=1e-9)
    assert figures["gaze_over_video"] == pytest.approx((59 / 30) / 4)
    assert figures["gaze_end_after_video_s"] == pytest.approx(0.5 + 59 / 30 - 4)
    slow = replace(video.counts, gaze_interval_s=1.01 / 200)
    assert clock_figures(slow)["drift"] == pytest.approx(0.01)
    none = replace(video.counts, gaze_interval_s=None, gaze_start_s=None, gaze_end_s=None)
    assert set(clock_figures(none).values()) == {None}


@pytest.mark.parametrize("hz", [5, 24, 72, 75, 80, 150, 240, 400, 2000])
def test_a_trackers_rate_is_no_drift(video: VideoGaze, hz: int) -> None:
    assert clock_figures(replace(video.counts, gaze_interval_s=1 / hz))["drift"] == pytest.approx(0, abs=1e-9)


def test_a_data_set_adds_up(video: VideoGaze) -> None:
    quality = VideoQuality.of(video)
    report = quality_report({"a": quality, "b": quality}, [], {"why": 2}, 1, {"no video": ["c", "d"]})
    assert report["videos"] == {"prepared": 2, "quarantined": 1}
    assert report["points_a_frame"] == [4, 0, 2]
    assert np.sum(report["centre_map"]) == 4
    assert report["carried"]["total"] == 6
    assert report["carried"]["occluded_share_local_test"] == pytest.approx(1 / 3)
    assert report["samples"]["total"] == 8
    assert list(report["by_video"]) == ["a", "b"]
    assert report["left_out"] == {"no video": ["c", "d"]}
    assert summary(report) == (
        "2 videos, 0 clips; valid gaze in 33.3 % of the sampled frames; "
        "1 videos quarantined (quarantine.jsonl); 2 with no video"
    )


def test_nothing_has_no_shares() -> None:
    report = quality_report({}, [], {}, 0, {})
    assert report["frames"] == {"total": 0, "without_gaze_share": None, "valid_gaze_share": None}
    assert summary(report) == "0 videos, 0 clips; no sampled frames"
    assert report["carried"]["occluded_share_local_test"] is None
