"""A store whose files are damaged, or hold what no preparation writes: refused in a line that names them."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save, save_file

from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.store import (
    ARRAYS,
    Store,
    read_clips,
    read_video_gaze,
    video_file,
    write_clips,
    write_video_gaze,
)


@pytest.mark.parametrize("name", ["xy", "raw_xy", "age_s", "error", "occluded_share"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_found(copy: Path, name: str, value: float) -> None:
    path = video_file(copy, "P01-R01-Pizza")
    gaze, digest = read_video_gaze(path)
    frame, point = np.argwhere(gaze.event <= GazeEvent.UNKNOWN)[3]
    changed = getattr(gaze, name).copy()
    changed[frame, point] = value
    write_video_gaze(path, replace(gaze, **{name: changed}), digest)
    with pytest.raises(ValueError, match=rf"damaged: 1 points that count .* frame {frame} .*'{name}': .*(nan|inf)"):
        Store(copy).video("P01-R01-Pizza")


@pytest.mark.parametrize(("name", "value"), [("age_s", -0.1), ("error", -0.1), ("occluded_share", 1.1), ("event", 6)])
def test_values_out_of_range_are_found(copy: Path, name: str, value: float) -> None:
    path = video_file(copy, "P01-R01-Pizza")
    gaze, digest = read_video_gaze(path)
    changed = getattr(gaze, name).copy()
    changed[tuple(np.argwhere(gaze.event <= GazeEvent.UNKNOWN)[0])] = value
    write_video_gaze(path, replace(gaze, **{name: changed}), digest)
    with pytest.raises(ValueError, match=r"P01-R01-Pizza.safetensors is damaged: 1 points"):
        Store(copy).video("P01-R01-Pizza")


@pytest.mark.parametrize("times", [lambda t_s: t_s[::-1].copy(), lambda t_s: t_s * np.nan, lambda t_s: 0 * t_s])
def test_times_that_do_not_increase_are_found(copy: Path, times: Callable[[np.ndarray], np.ndarray]) -> None:
    path = video_file(copy, "P01-R01-Pizza")
    gaze, digest = read_video_gaze(path)
    write_video_gaze(path, replace(gaze, frame_t_s=times(gaze.frame_t_s)), digest)
    with pytest.raises(ValueError, match=r"P01-R01-Pizza.safetensors is damaged \(frame_t_s"):
        Store(copy).video("P01-R01-Pizza")


def test_what_does_not_count_need_not_be_finite(copy: Path) -> None:
    """An untracked point has no place, and one that the flow carries out of the frame an error of ∞."""
    path = video_file(copy, "P01-R01-Pizza")
    gaze, digest = read_video_gaze(path)
    event, error, xy = gaze.event.copy(), gaze.error.copy(), gaze.xy.copy()
    event[0, 0], error[0, 0] = GazeEvent.OUT_OF_FRAME, np.inf
    event[0, 1], xy[0, 1] = GazeEvent.UNTRACKED, np.nan
    write_video_gaze(path, replace(gaze, event=event, error=error, xy=xy), digest)
    assert Store(copy).video("P01-R01-Pizza").error[0, 0] == np.inf


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(points="6"), "points is '6'"),
        (lambda manifest: manifest.update(points=0), "points is 0"),
        (lambda manifest: manifest.update(points=10**400), "points is a number of 1329 bits"),
        (lambda manifest: manifest.update(points=True), "points is True"),
        (lambda manifest: manifest.update(verbs="cut"), "verbs is 'cut'"),
        (lambda manifest: manifest.update(nouns=[1]), "nouns is a list of 1"),
        (lambda manifest: manifest.update(root=None), "root is None"),
        (lambda manifest: manifest.update(videos=[]), "has no attribute 'items'"),
        (lambda manifest: manifest.update(videos={"a": 1}), "1 where an object is expected"),
        (lambda manifest: manifest.update(parameters={}), "window_s is None"),
        (lambda manifest: manifest.update(spare=1), "spare is unknown"),
        (lambda manifest: manifest.update({"a\n\x1b": 1}), r"'a\n\x1b' is unknown"),
        (lambda manifest: manifest.pop("dataset"), "dataset"),
        (lambda manifest: manifest["videos"].update({"../a": one_of(manifest)}), "a video is called '../a'"),
        (lambda manifest: one_of(manifest).update(width_px=-1280), "width_px of P01-R01-Pizza is -1280"),
        (lambda manifest: one_of(manifest).update(height_px=0), "height_px of P01-R01-Pizza is 0"),
        (lambda manifest: one_of(manifest).update(frames=8.5), "frames is 8.5"),
        (lambda manifest: one_of(manifest).update(duration_s=float("nan")), "duration_s is nan"),
        (lambda manifest: one_of(manifest).update(path=7), "path is 7"),
    ],
)
def test_a_manifest_of_wrong_values_is_damaged(copy: Path, change: Change, said: str) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    change(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"manifest\.json is damaged \(.*\): run `gaze-vlm prepare` again") as caught:
        Store(copy)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def one_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The entry of a manifest's first video."""
    return manifest["videos"]["P01-R01-Pizza"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff\xfe\x00", b'{"schema_version": 4, "videos": {', b"[" * 200_000]
)
def test_a_manifest_of_wrong_bytes(copy: Path, content: bytes) -> None:
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"manifest\.json (is damaged|has schema version None)"):
        Store(copy)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"frames": 0}, "is of frames 4 to 3"),
        ({"last_frame": 8}, "is of frames 5 to 8 of P01-R01-Pizza, which has 8"),
        ({"frames": 5}, "is of frames -1 to 3"),
        ({"video_id": "other"}, "of other, which has 0"),
        ({"split": "trial"}, "is of split 'trial'"),
        ({"start_s": 9.0, "end_s": 1.0}, "from 9.0 to 1.0 s"),
    ],
)
def test_clips_that_the_videos_do_not_have(copy: Path, values: dict[str, Any], said: str) -> None:
    clips = read_clips(copy / "clips.parquet")
    write_clips(copy / "clips.parquet", [replace(clips[0], **values), *clips[1:]])
    with pytest.raises(ValueError, match=rf"clip {clips[0].clip_id} .*{said}.*; run `gaze-vlm prepare` again"):
        Store(copy)


def test_arrays_that_do_not_fit_each_other(copy: Path) -> None:
    path = video_file(copy, "P01-R01-Pizza")
    with safe_open(path, framework="numpy") as file:
        arrays, metadata = {name: file.get_tensor(name) for name in ARRAYS}, file.metadata()
    for name, wrong in {"xy": arrays["xy"][:, :, :1], "error": arrays["error"][1:], "event": arrays["error"]}.items():
        path.write_bytes(save({**arrays, name: np.ascontiguousarray(wrong)}, metadata))
        with pytest.raises(ValueError, match=rf"P01-R01-Pizza.safetensors is damaged \({name} is .*; expected"):
            read_video_gaze(path)
    path.write_bytes(save(arrays, {"gaze_vlm": json.dumps({**json.loads(metadata["gaze_vlm"]), "carried": "many"})}))
    with pytest.raises(ValueError, match=r"P01-R01-Pizza.safetensors is damaged \(carried is 'many'\)"):
        read_video_gaze(path)


def test_damaged_files(copy: Path, tmp_path: Path) -> None:
    path = video_file(copy, "P01-R01-Pizza")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"P01-R01-Pizza.safetensors is damaged"):
        Store(copy).video("P01-R01-Pizza")
    path.unlink()
    with pytest.raises(ValueError, match=r"P01-R01-Pizza.safetensors is missing"):
        Store(copy).video("P01-R01-Pizza")
    save_file({name: np.zeros(1) for name in ARRAYS}, path)
    with pytest.raises(ValueError, match="schema version None"):
        Store(copy).video("P01-R01-Pizza")
    (copy / "clips.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"clips.parquet is missing or damaged"):
        Store(copy)
    (copy / "manifest.json").write_text('{"schema_version": 4}')
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        Store(copy)
    with pytest.raises(ValueError, match=r"is not a finished store; run `gaze-vlm prepare`"):
        Store(tmp_path / "nowhere")
