"""The page of a store's gaze: self-contained, with every video and the contact sheet."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from gaze_vlm.cli import main
from gaze_vlm.datamodules.gaze_options import GazeOptions
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.store import Store
from gaze_vlm.report.quality import report_quality
from gaze_vlm.report.quality_sheet import draw_frame, worth_showing


def test_the_page_shows_every_video_and_needs_no_network(prepared: Path, tmp_path: Path) -> None:
    page = report_quality(prepared, tmp_path / "page" / "quality.html", videos=2, frames=3)
    text = page.read_text(encoding="utf-8")
    assert all(f"<td>{video_id}</td>" in text for video_id in Store(prepared).manifest.videos)
    assert "data:image/jpeg;base64,/9j/" in text
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "{{" not in text
    assert text.count('fill-opacity="') == 16 * 16
    sheet = cv2.imread(str(page.with_suffix(".jpg")))
    assert sheet.shape == (2 * 260, 3 * 320, 3)
    magenta = (np.abs(sheet.astype(int) - (255, 0, 255)).max(axis=2) < 60).sum()
    assert magenta >= 6  # a dot a frame, where all points of it lie together


def test_the_command_writes_into_the_store(prepared: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(prepared, tmp_path / "store"))
    assert main(["quality", "--store", str(store), "--videos", "1", "--frames", "1"]) == 0
    assert (store / "quality.html").is_file()
    assert (store / "quality.jpg").is_file()
    assert main(["quality", "--store", str(tmp_path / "nowhere")]) == 1
    assert main(["quality", "--store", str(store), "--videos", "0"]) == 1


def test_a_frame_without_gaze_is_drawn_bare(prepared: Path) -> None:
    gaze = Store(prepared).video("P01-R01-Pizza")
    bare = replace(gaze, event=np.full_like(gaze.event, GazeEvent.UNTRACKED), xy=np.full_like(gaze.xy, np.nan))
    axis = Figure().subplots()
    draw_frame(axis, np.zeros((48, 64, 3), np.uint8), bare, 0, 4 / 3, GazeOptions())
    assert len(axis.images) == 1
    draw_frame(axis, np.zeros((48, 64, 3), np.uint8), gaze, 0, 4 / 3, GazeOptions())
    assert len(axis.images) == 3


def test_frames_worth_showing_are_spread_and_have_gaze(prepared: Path) -> None:
    gaze = Store(prepared).video("P01-R01-Pizza")
    chosen = worth_showing(gaze, 4)
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) == 4
    assert (gaze.event[chosen] <= GazeEvent.UNKNOWN).any(axis=1).all()
    assert len(worth_showing(gaze, 20)) == len(gaze.frame_t_s)
