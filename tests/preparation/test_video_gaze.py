"""Which sampled frames have valid gaze: by one definition, for preparation, training and doctor."""

from dataclasses import replace

import numpy as np
import pytest

from gaze_vlm.datamodules.gaze_options import GazeOptions
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples
from gaze_vlm.preparation.video_gaze import FramePoints, VideoGaze


def frame(age_s: list[float], event: GazeEvent = GazeEvent.FIXATION, error: float = 0.0) -> FramePoints:
    """A sampled frame with a point of each of these ages, in the middle."""
    count = len(age_s)
    middle = np.full((count, 2), 0.5)
    zeros, events = np.zeros(count), np.full(count, event, dtype=np.uint8)
    return FramePoints(1.0, 0, middle, middle, np.array(age_s), events, np.full(count, error), zeros, 0)


def video(*frames: FramePoints) -> VideoGaze:
    """These frames, of a video of 30 frames a second."""
    gaze = VideoGaze.pack(frames, 10.0, GazeSamples(np.zeros(0), np.zeros((0, 2)), np.zeros(0, dtype=np.uint8)))
    return replace(gaze, counts=replace(gaze.counts, video_frames=300))


@pytest.mark.parametrize("prepared_s", [0.2, 0.5, 1.0])
def test_a_window_is_open_at_its_start_whatever_was_prepared(prepared_s: float) -> None:
    """At 30 Hz and 0.2 s six points, for ages from the frame's time on are 0, 1/30, …, 5/30, and 6/30 is out."""
    ages = [k / 30 for k in range(31) if k / 30 < prepared_s - 1e-6]
    assert video(frame(ages)).valid_points().sum() == 6
    assert GazeOptions(window_s=0.2).mixture(video(frame(ages)), slice(0, 1), 1.0).weight.sum() == 6


def test_a_window_of_nothing_is_the_frames_own_interval() -> None:
    """A tracker of 30 Hz on a clock of its own has one sample in each interval of a video of 30 frames a second."""
    for phase in np.linspace(0, 1, 20, endpoint=False):
        frames = [frame([(phase + k) / 30 for k in range(6)])]
        assert video(*frames).valid_points(window_s=0).sum() == 1
    assert video(frame([0.0, 1 / 30])).valid_points(window_s=0).tolist() == [[True, False]]


@pytest.mark.parametrize("eyes", [1, 2, 3])
def test_samples_of_one_time_are_no_interval(eyes: int) -> None:
    t_s = np.repeat(np.arange(100) / 100, eyes)
    gaze = GazeSamples(t_s, np.full((len(t_s), 2), 0.5), np.zeros(len(t_s), dtype=np.uint8))
    assert VideoGaze.pack([frame([0.0])], 1.0, gaze).counts.gaze_interval_s == pytest.approx(0.01)
    assert VideoGaze.pack([frame([0.0])], 1.0, gaze.window(0.5, 0.5)).counts.gaze_interval_s is None


def test_an_old_store_does_not_know_the_frames_interval() -> None:
    new = video(frame([0.0]))
    old = replace(new, counts=replace(new.counts, video_frames=0))
    assert old.valid_points(window_s=0.01).all()
    with pytest.raises(ValueError, match="does not know its videos' frame rates: run `gaze-vlm prepare` again"):
        old.valid_points(window_s=0)


def test_lost_and_occluded_points_do_not_count() -> None:
    frames = [frame([0.0], GazeEvent.BLINK), frame([0.0], error=0.1), frame([0.1], error=np.inf), frame([0.1])]
    assert video(*frames).valid_points().any(axis=1).tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sigma": 0}, "sigma is 0"),
        ({"window_s": -0.1}, "window_s is -0.1"),
        ({"window_s": np.nan}, "window_s is nan"),
        ({"epsilon": -1.0}, "epsilon is -1"),
        ({"eta": 1.5}, "eta is 1.5"),
    ],
)
def test_options_out_of_range(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GazeOptions(**options)
