"""`gaze-vlm caption` on OpenCV's videos, which no data set knows: `vtest.avi`, people on a path, 79.5 s at 10 Hz;
`tree.avi`, 29.6 s with 68 frames at irregular times; `cup.mp4`; and `box.mp4`, whose timestamps run backwards."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from egtea_files import iterate_frames
from gaze_vlm.cli import main
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.inference.windows import WindowTimes, read_windows
from real_files import OPENCV, real_file

pytestmark = pytest.mark.real
NAMES = ("box.mp4", "cup.mp4", "tree.avi", "vtest.avi")
TIMES = WindowTimes(observation_s=4.0, stride_s=4.0, frame_hz=1.0)


@pytest.mark.parametrize("name", NAMES[1:])
def test_frames_are_those_on_screen(name: str) -> None:
    path = real_file(OPENCV / name)
    frames = [(t_s, image) for _, t_s, image in iterate_frames(path)]
    windows = list(read_windows(path, TIMES, TIMES.ends_s(video_info(path).duration_s)))
    for window in windows:
        for t_s, frame in zip(window.frame_times_s, window.frames, strict=True):
            shown = [image for start_s, image in frames if start_s <= window.start_s + t_s + 1e-6][-1]
            np.testing.assert_array_equal(frame.permute(1, 2, 0), shown)


def test_all_but_the_one_that_runs_backwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "videos").mkdir()
    for name in NAMES:
        (tmp_path / "videos" / name).symlink_to(real_file(OPENCV / name))
    output = tmp_path / "captions.jsonl"
    options = [f"--videos={tmp_path / 'videos'}", f"--output={output}", "--observation_s=4", "--stride_s=4"]
    assert main(["caption", "--model=kitchen-llava", *options]) == 1
    said = capsys.readouterr().err
    assert "box.mp4: timestamps run backwards" in said
    assert "1 of 4 videos could not be captioned whole" in said
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert Counter(row["video"] for row in rows) == {"cup.mp4": 4, "tree.avi": 16, "vtest.avi": 40}
    assert [row["end_s"] for row in rows if row["video"] == "vtest.avi"][-1] == 79.5
