"""What is in memory while the gaze of a video is read and prepared does not grow with the video."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from gaze_vlm.formats.ego4d_gaze import read_ego4d_gaze
from gaze_vlm.formats.ego4d_writers import gaze_csv_text
from gaze_vlm.gaze.events import SACCADE_VELOCITY, with_events
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.video_gaze import VideoGaze

GAZE_HZ = 200


def peak_bytes(folder: Path, minutes: int) -> int:
    t_s = np.arange(minutes * 60 * GAZE_HZ) / GAZE_HZ
    xy = 0.5 + 0.2 * np.stack([np.sin(t_s), np.cos(1.3 * t_s)], axis=1)
    path = folder / f"{minutes}.csv"
    path.write_text(gaze_csv_text(t_s, xy, np.ones(len(t_s), dtype=bool)))
    tracemalloc.start()
    try:
        gaze = with_events(read_ego4d_gaze(path), 1.0, SACCADE_VELOCITY)
        PreparationParameters().video_digest(1, (1, ""), gaze)
        assert all(len(gaze.window(second, second + 0.2)) == 40 for second in range(minutes * 60 - 1))
        assert VideoGaze.pack([], minutes * 60, gaze).counts.gaze_interval_s == pytest.approx(1 / GAZE_HZ)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_gaze_of_three_minutes_takes_no_more_than_gaze_of_one(tmp_path: Path) -> None:
    """24,000 samples more, which alone are 600 kB."""
    short, long = peak_bytes(tmp_path, 1), peak_bytes(tmp_path, 3)
    assert long < short + 2**19, (short, long)
