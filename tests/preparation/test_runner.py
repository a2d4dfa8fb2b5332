"""A whole preparation: the same bytes for any number of workers, resuming, quarantine."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import SESSIONS
from egtea_files import write_split
from gaze_vlm.preparation import runner
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import Store


@pytest.fixture
def root(raw_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(raw_root, tmp_path / "raw"))


def content(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_same_bytes_for_two_workers(
    raw_root: Path, prepared: Path, parameters: PreparationParameters, tmp_path: Path
) -> None:
    store = prepare("egtea", raw_root, tmp_path / "store", parameters, workers=2)
    assert content(store) == content(prepared)


def test_finished_videos_are_skipped_and_the_rest_is_made_again(
    raw_root: Path,
    prepared: Path,
    parameters: PreparationParameters,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Path(shutil.copytree(prepared, tmp_path / "store"))
    (store / "manifest.json").unlink()
    (store / "videos" / "P01-R02-Salad.safetensors").unlink()
    damaged = store / "videos" / "P02-R01-Pizza.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:100])
    made = []
    prepare_video = runner.prepare_video
    monkeypatch.setattr(
        runner, "prepare_video", lambda path, *rest: made.append(path.stem) or prepare_video(path, *rest)
    )
    prepare("egtea", raw_root, store, parameters, workers=1)
    assert made == ["P01-R02-Salad", "P02-R01-Pizza"]
    assert content(store) == content(prepared)
    prepare("egtea", raw_root, store, replace(parameters, stride_s=2), workers=1)
    assert len(made) == 2  # the stride changes the clips alone
    prepare("egtea", raw_root, store, replace(parameters, window_s=0.1), workers=1)
    assert len(made) == 6


def test_quality(prepared: Path) -> None:
    quality = json.loads((prepared / "quality.json").read_text())
    assert quality["videos"] == {"prepared": 4, "quarantined": 0}
    shares = quality["samples"]["event_shares"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["fixation"] > 0.8
    assert quality["carried"]["occluded_share_local_test"] < 0.05
    clips = Store(prepared).clips
    assert quality["clips"]["total"] == len(clips) > 0
    assert quality["clips"]["shared_sessions"] == quality["clips"]["shared_seconds"] == 0
    assert sum(quality["clips"]["by_split"].values()) == len(clips)
    assert sum(quality["clips"]["dropped"].values()) + len(clips) == 4 * 5


def test_gaze_follows_the_scene(prepared: Path) -> None:
    gaze = Store(prepared).video("P01-R01-Pizza")
    assert abs(gaze.xy[0, :5, 0] * 128 - 76.5).max() < 0.5


def test_bad_videos_are_quarantined(root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    (root / "videos" / "P01-R01-Pizza.mp4").write_bytes(b"")
    (root / "gaze_data" / "P02-R01-Pizza.txt").unlink()
    store = prepare("egtea", root, tmp_path / "store", replace(parameters, max_quarantined=0.5), workers=1)
    rows = [json.loads(line) for line in (store / "quarantine.jsonl").read_text().splitlines()]
    assert [row["video_id"] for row in rows] == ["P01-R01-Pizza", "P02-R01-Pizza"]
    assert "P01-R01-Pizza.mp4: cannot be decoded" in rows[0]["reason"]
    assert "P02-R01-Pizza.txt is missing" in rows[1]["reason"]
    prepared = Store(store)
    assert sorted(prepared.manifest.videos) == ["P01-R02-Salad", "P02-R02-Salad"]
    assert {clip.video_id for clip in prepared.clips} == {"P01-R02-Salad", "P02-R02-Salad"}


def test_too_many_bad_videos_fail(root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    (root / "gaze_data" / "P02-R01-Pizza.txt").unlink()
    with pytest.raises(ValueError, match=r"1 of 4 videos cannot be used, more than max_quarantined = 0.1.*P02-R01"):
        prepare("egtea", root, tmp_path / "store", parameters, workers=1)
    assert (tmp_path / "store" / "quarantine.jsonl").read_text().count("\n") == 1
    assert not (tmp_path / "store" / "manifest.json").exists()


def test_official_split(root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    """Two sessions for training alone, one for both parts, one in neither."""
    both, _, *train = SESSIONS
    rows = [(session, start_s) for session in train for start_s in (0, 2, 4, 6)]
    write_split(root, 1, train=[*rows, (both, 2), (both, 6)], test=[(both, 0), (both, 4)])
    official = replace(parameters, split_by="official", split_fractions=(1, 0, 0), anticipation_s=1)
    with pytest.warns(UserWarning, match="official split shares 1 sessions between its parts, and 3 s of them"):
        store = prepare("egtea", root, tmp_path / "store", official, workers=1)
    clips = Store(store).clips
    assert {clip.video_id for clip in clips} == {both, *train}
    assert [(clip.split, clip.end_s) for clip in clips if clip.video_id == both] == [
        ("test", 4),
        ("test", 5),
        ("train", 6),
    ]
    quality = json.loads((store / "quality.json").read_text())["clips"]
    assert (quality["shared_sessions"], quality["shared_seconds"]) == (1, 3.0)
    assert quality["by_split"] == {"test": 2, "train": 7}
    assert quality["dropped"]["not in the data set's own split"] == 3  # all of the session that is in neither part


def test_wrong_arguments(raw_root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="data set 'ego5d' is unknown; use one of egtea"):
        prepare("ego5d", raw_root, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="workers is 0"):
        prepare("egtea", raw_root, tmp_path, workers=0)
    with pytest.raises(ValueError, match="videos is missing"):
        prepare("egtea", tmp_path / "nowhere", tmp_path / "store")
