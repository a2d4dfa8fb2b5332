"""The page of a store's gaze: self-contained, with every video and the contact sheet."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from gaze_vlm.cli import main
from gaze_vlm.datamodules.gaze_options import GazeOptions
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.json_files import read_json
from gaze_vlm.preparation.store import Store
from gaze_vlm.report.html import number, percent
from gaze_vlm.report.quality import quality_page, report_quality
from gaze_vlm.report.quality_sheet import draw_frame, draw_sheet, highest_mass, worth_showing
from hostile_names import HOSTILE
from html_checks import Page, check_readable, check_whole


def test_the_page_shows_every_video_and_needs_no_network(prepared: Path, tmp_path: Path) -> None:
    page = report_quality(prepared, tmp_path / "page" / "quality.html", videos=2, frames=3)
    text = page.read_text(encoding="utf-8")
    assert all(f'<th scope="row">{video_id}</th>' in text for video_id in Store(prepared).manifest.videos)
    assert "data:image/jpeg;base64,/9j/" in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "{{" not in text
    assert text.count('fill-opacity="') == 16 * 16
    assert "<h1>Gaze of raw" in text  # the folder, not the reader
    assert "Valid gaze in 100.0 % of" in text
    assert all(axis in text for axis in ("sampled frames</text>", "points in the window", "points a cell"))
    sheet = cv2.imread(str(page.with_suffix(".jpg")))
    assert sheet.shape == (2 * 260 + 110, 3 * 320, 3)
    magenta = (np.abs(sheet.astype(int) - (255, 0, 255)).max(axis=2) < 60).sum()
    assert magenta >= 6  # a dot a frame, where all points of it lie together


def test_the_command_writes_into_the_store(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Path(shutil.copytree(prepared, tmp_path / "store"))
    assert main(["quality", "--store", str(store), "--videos", "1", "--frames", "1"]) == 0
    assert (store / "quality.html").is_file()
    assert (store / "quality.jpg").is_file()
    assert main(["quality", "--store", str(tmp_path / "nowhere")]) == 1
    assert main(["quality", "--store", str(store), "--videos", "0"]) == 1
    assert main(["quality", "--store", str(tmp_path / "nowhere"), "--output", str(tmp_path / "page.pdf")]) == 1
    assert "page.pdf: .pdf is no kind to write: end the name in .html or .htm" in capsys.readouterr().err


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


def test_the_sheet_says_what_its_marks_and_colours_mean(prepared: Path) -> None:
    figure = draw_sheet(Store(prepared), None, videos=2, frames=2, seed=0)
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["point that counts", "occluded point", "from where it was looked at"]
    assert "gaze mixture" in figure.axes[-1].get_xlabel()
    heat = [axis.images[1] for axis in figure.axes[:-1] if len(axis.images) > 1]
    assert heat
    assert {image.get_clim() for image in heat} == {(0, 1)}


def test_points_in_one_place_have_the_highest_value(prepared: Path) -> None:
    gaze = Store(prepared).video("P01-R01-Pizza")
    one = replace(gaze, xy=np.full_like(gaze.xy, 0.5), event=np.full_like(gaze.event, GazeEvent.FIXATION))
    one = replace(one, error=np.zeros_like(gaze.error), age_s=np.zeros_like(gaze.age_s))
    axis = Figure().subplots()
    draw_frame(axis, np.zeros((48, 64, 3), np.uint8), one, 0, 4 / 3, GazeOptions())
    assert np.max(axis.images[1].get_array()) == pytest.approx(1, abs=0.12)  # of the cells that it lies between
    assert highest_mass(sigma=1e-6, aspect=1, cells=1) == 1


def test_no_number_is_a_negative_zero() -> None:
    assert [percent(share) for share in (-1e-6, 0.0, -0.001, 0.1234, None)] == [
        "0.0 %",
        "0.0 %",
        "-0.1 %",
        "12.3 %",
        "—",
    ]
    assert [number(value) for value in (-0.001, -0.01, None)] == ["0.00", "-0.01", "—"]


@pytest.mark.parametrize(("share", "warns"), [(0.49, True), (0.5, False), (None, False)])
def test_few_valid_frames_are_warned_of(prepared: Path, share: float | None, warns: bool) -> None:
    report = read_json(prepared / "quality.json", "")
    report["frames"]["valid_gaze_share"] = share
    page = quality_page("my <data>", "folder", report, b"")
    assert ("less than half" in page) == warns
    assert "<h1>Gaze of my &lt;data&gt;</h1>" in page


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_names_out_of_a_data_set_are_text(prepared: Path, name: str) -> None:
    """Also the name of a file that is not UTF-8, as Python has it."""
    report = read_json(prepared / "quality.json", "")
    report["by_video"] = {name: {**next(iter(report["by_video"].values())), "file": f"{name}\udcff"}}
    report["left_out"] = {name: [name, name]}
    report["removed_labels"] = [{"kind": "noun", "label": name, "reason": name, "actions": 1, "text": name}]
    page = quality_page(name, name, report, b"")
    page.encode()
    check_whole(page)
    check_readable(page)
    assert not re.search(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202e\u2066]", page)
    elements = [tag for tag, _ in Page(page).elements]
    plain = quality_page("a", "a", report | {"left_out": {"a": ["a"]}}, b"")
    assert sorted(elements) == sorted(tag for tag, _ in Page(plain).elements)
