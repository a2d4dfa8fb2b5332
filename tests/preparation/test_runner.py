"""A whole preparation: the same bytes for any number of workers, resuming, quarantine."""

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egtea_files import SESSIONS, TICKS_S, iterate_frames, write_split, write_video
from gaze_vlm.errors import OutputError
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.formats.recording import Recording
from gaze_vlm.formats.video import frames_at
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples
from gaze_vlm.output import draft_name
from gaze_vlm.preparation import files, prepare_recording, runner
from gaze_vlm.preparation.cost import estimate_cost
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import Store


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
    prepare_video = prepare_recording.prepare_video
    monkeypatch.setattr(
        prepare_recording,
        "prepare_video",
        lambda path, *rest, **more: made.append(path.stem) or prepare_video(path, *rest, **more),
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
    assert quality["clips"]["same_step_share"] == sum(clip.same_action for clip in clips) / len(clips)
    assert quality["clips"]["shared_sessions"] == quality["clips"]["shared_seconds"] == 0
    assert sum(quality["clips"]["by_split"].values()) == len(clips)
    assert sum(quality["clips"]["dropped"].values()) + len(clips) == 4 * 5


def test_gaze_follows_the_scene(prepared: Path) -> None:
    gaze = Store(prepared).video("P01-R01-Pizza")
    assert abs(gaze.xy[0, :5, 0] * 128 - 76.5).max() < 0.5


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
    with pytest.raises(ValueError, match="the reader of egtea has no option fps, pass; it has "):
        prepare("egtea", raw_root, tmp_path, reader={"pass": 1, "fps": 24})


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("folder", {"frame_width_px": "abc", "frame_height_px": 3}, "the reader's frame_width_px is 'abc'; expected a"),
        ("folder", {"min_confidence": "0.6"}, "the reader's min_confidence is '0.6'; expected a number"),
        ("ego4d", {"longest_action_s": [1]}, "the reader's longest_action_s is .1.; expected a number"),
        ("ego4d", {"captions": 3}, "the reader's captions is 3; expected a path"),
    ],
)
def test_options_of_a_reader_of_other_types_are_refused(
    dataset: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(dataset, tmp_path, tmp_path / "store", reader=options)


def test_a_tree_without_files_names_them_all(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"videos, .*gaze_data, .*verb_idx.txt, .*action_labels.csv are missing: is .* the root"
    ):
        prepare("egtea", tmp_path / "nowhere", tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_missing_gaze_is_named_before_any_work(root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    for session in ("P01-R01-Pizza", "P02-R01-Pizza"):
        (root / "gaze_data" / f"{session}.txt").unlink()
    with pytest.raises(ValueError, match=r"2 of 4 videos .*P01-R01-Pizza.txt is missing.*P02-R01-Pizza.txt is missing"):
        prepare("egtea", root, tmp_path / "store", parameters, workers=1)
    assert not (tmp_path / "store" / "videos").exists()


def test_options_of_the_reader(
    raw_root: Path, prepared: Path, parameters: PreparationParameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shifted(EgteaReader):
        def __init__(self, root: Path, *, shift: float = 0.0) -> None:
            super().__init__(root)
            self.shift = shift

        def read_gaze(self, recording: Recording) -> GazeSamples:
            gaze = super().read_gaze(recording)
            return replace(gaze, xy=gaze.xy + self.shift)

    monkeypatch.setitem(runner.READERS, "egtea", Shifted)
    store = Path(shutil.copytree(prepared, tmp_path / "store"))
    prepare("egtea", raw_root, store, parameters, workers=1, reader={"shift": 0.0})
    assert content(store)["videos/P01-R01-Pizza.safetensors"] == content(prepared)["videos/P01-R01-Pizza.safetensors"]
    prepare("egtea", raw_root, store, parameters, workers=1, reader={"shift": 0.1})
    moved = Store(store).video("P01-R01-Pizza").raw_xy - Store(prepared).video("P01-R01-Pizza").raw_xy
    assert np.nanmax(np.abs(moved - 0.1)) < 1e-6
    assert Store(store).manifest.reader == {"shift": 0.1}


def test_a_dry_run_estimates_and_writes_nothing(
    raw_root: Path, prepared: Path, parameters: PreparationParameters, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    prepare("egtea", raw_root, tmp_path / "store", parameters, workers=2, dry_run=True)
    said = capsys.readouterr().out
    assert "4 videos, 0 of them prepared already; 4 to do, 0:32 long" in said
    assert "on 2 processes" in said
    assert not (tmp_path / "store").exists()
    before = content(prepared)
    prepare("egtea", raw_root, prepared, parameters, dry_run=True)
    assert "4 of them prepared already; 0 to do" in capsys.readouterr().out
    assert content(prepared) == before


def test_a_dry_run_estimates_space(
    raw_root: Path, prepared: Path, parameters: PreparationParameters, tmp_path: Path
) -> None:
    reader = EgteaReader(raw_root)
    task = prepare_recording.PrepareRecording(reader, tmp_path / "store", parameters)
    cost = estimate_cost(task, reader.recordings())
    there = sum(path.stat().st_size for path in (prepared / "videos").iterdir())
    assert 0.4 * there < cost.size_bytes < there  # a file's header outweighs eight frames
    assert 0 < cost.seconds < 60
    copied = replace(task, parameters=replace(parameters, video_short_side_px=48))
    assert estimate_cost(copied, reader.recordings()).size_bytes > 2 * cost.size_bytes


def test_drafts_of_a_killed_run_are_removed(
    raw_root: Path, prepared: Path, parameters: PreparationParameters, tmp_path: Path
) -> None:
    store = Path(shutil.copytree(prepared, tmp_path / "store"))
    for file in (store / "videos" / "P01-R01-Pizza.safetensors", store / "manifest.json"):
        draft_name(file).write_bytes(b"half")
    prepare("egtea", raw_root, store, parameters, workers=1)
    assert content(store) == content(prepared)


def test_a_store_is_prepared_once_at_a_time(raw_root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    with (
        files.exclusive_store(tmp_path / "store"),
        pytest.raises(ValueError, match="store is being prepared by another process"),
    ):
        prepare("egtea", raw_root, tmp_path / "store", parameters, workers=1)


@pytest.mark.parametrize("short_side_px", [None, 48])
def test_a_full_disk_stops_and_goes_on(
    raw_root: Path,
    prepared: Path,
    parameters: PreparationParameters,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    short_side_px: int | None,
) -> None:
    parameters = replace(parameters, video_short_side_px=short_side_px)
    moves, move = [], Path.replace

    def full_after_some(draft: Path, target: Path) -> Path:
        moves.append(target)
        if len(moves) == 4:  # quarantine.jsonl and two or three files
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return move(draft, target)

    monkeypatch.setattr(Path, "replace", full_after_some)
    with pytest.raises(OutputError, match=r"store/video.* cannot be written \(No space left on device"):
        prepare("egtea", raw_root, tmp_path / "store", parameters, workers=1)
    monkeypatch.undo()
    left = content(tmp_path / "store")
    assert left["quarantine.jsonl"] == b""
    assert "manifest.json" not in left
    assert not [name for name in left if name.endswith(".tmp")]
    prepare("egtea", raw_root, tmp_path / "store", parameters, workers=1)
    if short_side_px is None:
        assert content(tmp_path / "store") == content(prepared)
    else:
        assert len(Store(tmp_path / "store").manifest.videos) == 4


def test_a_variable_frame_rate_is_prepared_by_its_timestamps(
    raw_root: Path, parameters: PreparationParameters, tmp_path: Path
) -> None:
    """Frames that are thinned out at random show, at the sampled times, what the full video shows."""
    root = Path(shutil.copytree(raw_root, tmp_path / "raw"))
    path = root / "videos" / "P01-R01-Pizza.mp4"
    frames = list(iterate_frames(path))
    kept = [i for i in range(len(frames)) if i % 24 in (0, 23, 22, 21, 20, 19) or i % 5 == 0]
    write_video(path, [frames[i][2] for i in kept], [i * TICKS_S // 24 for i in kept])
    thinned = Store(prepare("egtea", root, tmp_path / "thinned", parameters, workers=1)).video(path.stem)
    full = Store(prepare("egtea", raw_root, tmp_path / "full", parameters, workers=1)).video(path.stem)
    seconds = np.stack([frames[i][2] for i in (24, 48, 72)]).astype(float)
    shown = frames_at(path, thinned.frame_pts[:3].tolist()).astype(float)
    assert np.abs(shown - seconds).mean() < 4  # coded twice
    both = (full.event[:7] <= GazeEvent.UNKNOWN) & (thinned.event[:7] <= GazeEvent.UNKNOWN)
    assert both.sum() > 30
    assert np.abs(full.xy[:7] - thinned.xy[:7])[both].max() * 128 < 0.6


def test_names_that_leave_the_store_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be a file name"):
        Recording("../evil", Path("v.mp4"), None, "P01", 1280, 960, ())
