"""The store: round trips, padding, and files that are missing, damaged or of another version."""

import json
import pickle
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.formats.video import frames_at
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation import prepare_recording
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import (
    ARRAYS,
    Store,
    read_clips,
    read_video_gaze,
    video_file,
    write_clips,
    write_video_gaze,
)


def test_store_gives_what_a_clip_needs(prepared: Path) -> None:
    store = Store(prepared)
    clip = store.clips[0]
    gaze = store.video(clip.video_id)
    rows = slice(clip.last_frame - clip.frames + 1, clip.last_frame + 1)
    assert gaze.frame_t_s[rows][-1] == clip.end_s
    assert frames_at(store.video_path(clip.video_id), gaze.frame_pts[rows]).shape == (4, 96, 128, 3)
    points = store.manifest.points
    assert gaze.xy.shape == gaze.raw_xy.shape == (8, points, 2)
    for name in ("age_s", "event", "error", "occluded_share"):
        assert getattr(gaze, name).shape == (8, points)
    assert (gaze.age_s >= 0).all()
    assert store.manifest.videos[clip.video_id].width_px == 1280
    assert store.manifest.verbs == ("cut", "pick up")


def test_padding_is_untracked(prepared: Path) -> None:
    gaze, _ = read_video_gaze(next((prepared / "videos").glob("P*")))
    wide = gaze.padded(gaze.event.shape[1] + 3)
    assert (wide.event[:, -3:] == GazeEvent.UNTRACKED).all()
    assert np.isnan(wide.xy[:, -3:]).all()
    np.testing.assert_array_equal(wide.error[:, :-3], gaze.error)
    with pytest.raises(ValueError, match="cannot be padded"):
        gaze.padded(1)


def test_a_videos_file_is_as_safetensors_writes_it(prepared: Path, tmp_path: Path) -> None:
    path = next((prepared / "videos").glob("P*"))
    with safe_open(path, framework="numpy") as file:
        arrays, metadata = {name: file.get_tensor(name) for name in ARRAYS}, file.metadata()
    assert save(arrays, metadata) == path.read_bytes()
    gaze, digest = read_video_gaze(path)
    write_video_gaze(tmp_path / "again.safetensors", gaze, digest)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_cache_keeps_the_last_videos(prepared: Path) -> None:
    store = Store(prepared, cached_videos=2)
    ids = sorted(store.manifest.videos)
    first = store.video(ids[0])
    assert store.video(ids[0]) is first
    store.video(ids[1])
    store.video(ids[2])
    assert store.video(ids[0]) is not first
    assert pickle.loads(pickle.dumps(store)).clips == store.clips


def test_clips_round_trip(prepared: Path, tmp_path: Path) -> None:
    clips = [replace(clip, activity_verb=None, future_starts_in_s=-0.5) for clip in Store(prepared).clips]
    write_clips(tmp_path / "a=b" / "clips.parquet", clips)
    again = read_clips(tmp_path / "a=b" / "clips.parquet")
    assert [str(asdict(clip)) for clip in again] == [str(asdict(clip)) for clip in clips]
    columns = pq.read_schema(tmp_path / "a=b" / "clips.parquet").names
    assert set(columns) ^ set(asdict(clips[0])) == {"same_action", "same_step"}  # the column is as it always was


def test_empty_table_of_clips(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips.parquet", [])
    assert read_clips(tmp_path / "clips.parquet") == []


def test_unknown_video(prepared: Path) -> None:
    with pytest.raises(ValueError, match=r"no video '../other'; see quarantine.jsonl"):
        Store(prepared).video("../other")


def test_paths_cannot_leave_the_root(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    video_id = next(iter(manifest["videos"]))
    for path in ("../../secret.mp4", "/secret.mp4"):
        manifest["videos"][video_id]["path"] = path
        (copy / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ValueError, match="leads out of the raw root"):
            Store(copy).video_path(video_id)


def test_moved_raw_data(copy: Path, raw_root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    """The error says how to point a store to where they are now, and it is true."""
    video_id, new = "P01-R01-Pizza", tmp_path / "new"
    shutil.copytree(raw_root, new)
    assert Store(copy).video_path(video_id, new) == new / "videos" / f"{video_id}.mp4"
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "root": str(tmp_path / "old")}))
    store = Store(copy)
    for look in (store.video_path, lambda video_id: store.check_videos([video_id])):
        with pytest.raises(FileNotFoundError, match=r"old/videos/P01-R01-Pizza.mp4 is missing: .* with --root NEW"):
            look(video_id)
    written = video_file(copy, video_id).stat().st_mtime_ns
    prepare("egtea", new, copy, parameters, workers=1)
    assert video_file(copy, video_id).stat().st_mtime_ns == written
    Store(copy).check_videos([video_id])


@pytest.mark.parametrize("short_side_px", [None, 48])
@pytest.mark.parametrize("change", ["size", "first", "last", None])
def test_another_video_in_its_place(
    raw_root: Path, tmp_path: Path, parameters: PreparationParameters, short_side_px: int | None, change: str | None
) -> None:
    """Of the raw videos, or of the copies in the store where there are any."""
    root = tmp_path / "raw"
    shutil.copytree(raw_root, root)
    made = prepare("egtea", root, tmp_path / "store", replace(parameters, video_short_side_px=short_side_px), workers=1)
    video_id = "P02-R01-Pizza"
    path = Store(made).video_path(video_id)
    content = bytearray(path.read_bytes())
    if change == "size":
        content += b"0"
    elif change is not None:
        content[100 if change == "first" else -100] ^= 1
    path.write_bytes(content)
    Store(made).check_videos(["P01-R01-Pizza"])
    if change is None:
        Store(made).check_videos([video_id])
        return
    data = ClipDataModule(made)
    with pytest.raises(ValueError, match=rf"{video_id}.mp4 is another video: .* `gaze-vlm prepare` again"):
        data.setup("fit")


def test_other_schema_version(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(ValueError, match=r"manifest.json has schema version 99, this program reads 4; run `gaze-vlm"):
        Store(copy)


def test_an_older_store_is_made_again_without_its_videos(
    copy: Path, raw_root: Path, parameters: PreparationParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its table of clips has other columns; its videos' files are as they would be made now."""
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 3}))
    with pytest.raises(ValueError, match=r"version 3, this program reads 4; .* which keeps what has not changed"):
        Store(copy)
    monkeypatch.setattr(prepare_recording, "prepare_video", None)
    prepare("egtea", raw_root, copy, parameters, workers=1)
    assert Store(copy).clips
