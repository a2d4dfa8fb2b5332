"""Gaze and actions of another clock are warned of, and those of a tracker that runs longer are not."""

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from gaze_vlm.formats.recording import Action, Recording
from gaze_vlm.preparation.quality_report import clock_figures
from gaze_vlm.preparation.time_warnings import warn_of_times
from gaze_vlm.preparation.video_gaze import VideoCounts

LENGTH_S = 20.0


def said(
    start_s: float, end_s: float, hz: float = 60, actions: tuple[float, ...] = (), valid: float = 0.9, videos: int = 1
) -> str:
    """The warnings of a store of videos with gaze from `start_s` to `end_s`."""
    counts = VideoCounts(LENGTH_S, {}, 0, {}, start_s, end_s, 1 / hz)
    share = {"valid_gaze_share": valid}
    row: dict[str, Any] = {"duration_s": LENGTH_S, "clock": clock_figures(counts), "frames": share}
    row["longest_frame_s"] = [1.0, 1.5]
    texts = tuple(Action(t_s, t_s + 2, "cuts", None, None) for t_s in actions)
    recording = Recording("v", Path("v.mp4"), None, "p", 4, 3, texts)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_times({"by_video": {f"v{'i' * k}": row for k in range(videos)}, "frames": share}, [recording])
    return "\n".join(str(warning.message) for warning in caught)


@pytest.mark.parametrize(
    ("start_s", "end_s", "hz", "text"),
    [
        (3, 22.98, 60, r"gaze of 1 of 1 videos is as long .* \(v: 3.0 to 23.0 s of 0 to 20.0 s\): subtract the offset"),
        (-5, 14.98, 60, r"shifted against it \(v: -5.0 to 15.0 s"),
        (0.5, 20.48, 60, "shifted"),
        (0, 21.98, 60 / 1.1, r"a faster or slower clock than its video \(v: 0.0 to 22.0 s of .*\): scale its times"),
        (0, 18, 60 / 0.9, "faster or slower"),
    ],
)
def test_another_clock(start_s: float, end_s: float, hz: float, text: str) -> None:
    assert re.search(text, said(start_s, end_s, hz))


@pytest.mark.parametrize(
    ("start_s", "end_s", "hz"),
    [
        (0, 19.98, 60),
        (-3, 23, 60),  # starts before the video and ends after it
        (3, 17, 60),
        (-3, 19, 60),
        (0.3, 20.28, 60),  # starts a little late
        (1, 20.5, 60),
        (0, 10, 60),  # ends first
        (0, 60, 60),
        (0, 22, 63),  # a rate of its own, and longer than the video
        (0, 18, 30.1),
    ],
)
def test_gaze_of_the_videos_clock(start_s: float, end_s: float, hz: float) -> None:
    assert said(start_s, end_s, hz) == ""


def test_one_pace_of_several_videos_is_the_clocks() -> None:
    """Gaze of a tracker of 120 Hz at half its pace has the rate of another tracker."""
    assert said(0, 40, 60, videos=2) == ""
    assert said(0, 40, 60, videos=3).startswith("gaze of 3 of 3 videos seems to be timed by a faster or slower clock")


def test_actions_after_the_video_are_counted() -> None:
    assert said(0, 20, actions=(0, 19, 20)) == ""
    assert said(0, 20, actions=(0, 19, 21, 40)).startswith(
        "2 of 4 actions begin after the end of their video, in 1 videos"
    )


def test_little_valid_gaze() -> None:
    assert said(0, 20, valid=0.4).startswith(
        "valid gaze in 40.0 % of the sampled frames; under a half in 1 of 1 videos (v)"
    )
