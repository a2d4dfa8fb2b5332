"""Videos with frames that cannot be decoded: what they cost, and when they are not used at all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egtea_files import spoil
from gaze_vlm.formats.video import frames_at
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import Store
from gaze_vlm.report.quality_sheet import worth_showing

VIDEO = "P01-R01-Pizza"


@pytest.fixture
def root(raw_root: Path, tmp_path: Path) -> Path:
    """Key frame 72, on screen at the third sample, is damaged, and with it all frames to 83."""
    root = Path(shutil.copytree(raw_root, tmp_path / "raw"))
    spoil(root / "videos" / f"{VIDEO}.mp4", 72)
    return root


@pytest.mark.parametrize("short_side_px", [None, 48])
def test_a_damaged_frame_costs_the_clips_that_show_it(
    root: Path, prepared: Path, parameters: PreparationParameters, tmp_path: Path, short_side_px: int | None
) -> None:
    parameters = replace(parameters, max_damaged=0.1, video_short_side_px=short_side_px)
    store = Store(prepare("egtea", root, tmp_path / "store", parameters, workers=1))
    gaze, whole = store.video(VIDEO), Store(prepared).video(VIDEO)
    assert np.flatnonzero(gaze.damaged).tolist() == [2]
    assert (gaze.event[2] == GazeEvent.UNTRACKED).all()
    np.testing.assert_array_equal(gaze.xy[~gaze.damaged], whole.xy[~gaze.damaged])
    assert 12 <= gaze.counts.damaged_frames <= 18
    assert gaze.counts.video_frames == 192
    assert VIDEO not in {clip.video_id for clip in store.clips}  # all three clips show 4 of the first 6 samples
    assert worth_showing(gaze, 8).tolist() == [0, 1, 3, 4, 5, 6, 7]
    quality = json.loads((store.path / "quality.json").read_text())
    assert quality["clips"]["dropped"]["a frame of the clip is damaged"] == 3
    assert quality["damaged_frames"] == quality["by_video"][VIDEO]["damaged_frames"] == gaze.counts.damaged_frames
    assert quality["by_video"]["P02-R01-Pizza"]["damaged_frames"] == 0
    sound = gaze.frame_pts[~gaze.damaged].tolist()
    assert len(frames_at(store.video_path(VIDEO), sound)) == 7


def test_gaze_in_a_damaged_frame_of_a_window_is_untracked(
    raw_root: Path, prepared: Path, parameters: PreparationParameters, tmp_path: Path
) -> None:
    """Frames 70 and 71 are damaged; the window before the third sample begins in frame 67."""
    root = Path(shutil.copytree(raw_root, tmp_path / "raw"))
    spoil(root / "videos" / f"{VIDEO}.mp4", 71)
    parameters = replace(parameters, max_damaged=0.1)
    gaze = Store(prepare("egtea", root, tmp_path / "store", parameters, workers=1)).video(VIDEO)
    whole = Store(prepared).video(VIDEO)
    assert not gaze.damaged.any()
    lost = gaze.event[2] != whole.event[2]
    assert 0 < lost.sum() < np.sum(whole.event[2] <= GazeEvent.UNKNOWN)
    assert (gaze.event[2, lost] == GazeEvent.UNTRACKED).all()
    np.testing.assert_array_equal(gaze.xy[2, ~lost], whole.xy[2, ~lost])


def test_more_damage_than_the_stated_share(root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    loose = replace(parameters, max_damaged=0.1, max_quarantined=0.5)
    prepare("egtea", root, tmp_path / "store", loose, workers=1)
    assert (tmp_path / "store" / "quarantine.jsonl").read_text() == ""
    prepare(
        "egtea", root, tmp_path / "store", replace(loose, max_damaged=0.02), workers=1
    )  # of the store that is there
    row = json.loads((tmp_path / "store" / "quarantine.jsonl").read_text())
    assert row["video_id"] == VIDEO
    assert "of 192 frames are damaged, more than max_damaged = 0.02 allows; copy the video again" in row["reason"]
    assert VIDEO not in Store(tmp_path / "store").manifest.videos


def test_a_video_of_which_nothing_can_be_decoded(root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    for packet in range(192):
        spoil(root / "videos" / f"{VIDEO}.mp4", packet)
    parameters = replace(parameters, max_damaged=1.0, max_quarantined=0.5)
    prepare("egtea", root, tmp_path / "store", parameters, workers=1)
    row = json.loads((tmp_path / "store" / "quarantine.jsonl").read_text())
    assert "192 of 192 frames are damaged" in row["reason"]
