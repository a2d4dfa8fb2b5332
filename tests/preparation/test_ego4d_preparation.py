"""Ego4D from its own files to a store."""

import json
from pathlib import Path

import numpy as np
import pytest

from ego4d_files import TEST_UIDS, TRAIN_UIDS, still_gaze, write_root
from gaze_vlm.cli import main
from gaze_vlm.formats.video import frames_at
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import Store
from gaze_vlm.preparation.timeline import REDACTED
from training_files import ROOT

UIDS = [TRAIN_UIDS[0], TRAIN_UIDS[1], TEST_UIDS[0]]
SHORT, LONG = UIDS[:2]  # gaze that ends before its video, and after it


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_root(tmp_path_factory.mktemp("ego4d"), UIDS, seconds=8, redacted_s=((6.25, 6.75),))
    (root / "v2" / "gaze" / f"{SHORT}.csv").write_text(still_gaze(3.5))
    (root / "v2" / "gaze" / f"{LONG}.csv").write_text(still_gaze(20))
    return root


@pytest.fixture(scope="module")
def store(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    parameters = PreparationParameters(observation_s=4, anticipation_s=1, split_fractions=(0.6, 0.0, 0.4))
    return prepare("ego4d", root, tmp_path_factory.mktemp("ego4d") / "store", parameters, workers=1)


def test_gaze_near_the_top_of_the_file_is_near_the_top_of_the_frame(store: Path) -> None:
    gaze = Store(store).video(UIDS[2])  # its table says norm_pos_y = 0.9
    tracked = gaze.event == GazeEvent.FIXATION  # by velocity, for the table has no events
    assert (tracked.sum(axis=1) == 40).sum() >= 6  # 0.2 s at 200 Hz
    assert abs(gaze.xy[tracked] - [0.4, 0.1]).max() < 0.02


def test_gaze_shorter_and_longer_than_the_video(store: Path) -> None:
    short, long = Store(store).video(SHORT), Store(store).video(LONG)
    assert (short.event[:3] == GazeEvent.FIXATION).any(axis=1).all()
    assert (short.event[3:] == GazeEvent.UNTRACKED).all()
    assert len(long.frame_t_s) == len(short.frame_t_s) == 8


def test_clips_with_a_redacted_part_are_dropped_and_counted(store: Path) -> None:
    clips = Store(store).clips
    assert {clip.end_s for clip in clips} == {4, 5, 6}
    assert {clip.activity_text for clip in clips} == {"opens the fridge", "cuts an onion"}
    assert {(clip.activity_verb, clip.future_noun) for clip in clips} == {(None, None)}
    assert json.loads((store / "quality.json").read_text())["clips"]["dropped"][REDACTED] == 3


def test_frames_are_decoded_by_their_timestamps(store: Path) -> None:
    prepared = Store(store)
    pts = prepared.video(LONG).frame_pts.tolist()
    images = frames_at(prepared.video_path(LONG), pts)
    assert images.shape == (8, 134, 136, 3)
    assert np.abs(images[-1].astype(int) - images[0]).mean() < 8  # a still scene


def test_the_manifest(store: Path) -> None:
    manifest = Store(store).manifest
    assert (manifest.dataset, manifest.verbs, sorted(manifest.videos)) == ("ego4d", (), sorted(UIDS))
    entry = manifest.videos[LONG]
    assert (entry.path, entry.participant) == (f"v2/full_scale/{LONG}.mp4", LONG)
    assert entry.aspect == 1088 / 1080


def test_the_shipped_configuration(root: Path, tmp_path: Path) -> None:
    config = ROOT / "lightning_configs" / "ego4d" / "preparation.yaml"
    options = [f"--root={root}", f"--store={tmp_path / 'store'}", "--workers=1"]
    assert main(["prepare", f"--config={config}", *options]) == 0
    assert {clip.frames for clip in Store(tmp_path / "store").clips} == {5}
