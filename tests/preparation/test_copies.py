"""Copies of the videos in a store: one that is not as it was written is made again, and no other."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import save

from gaze_vlm.preparation import prepare_recording
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import ARRAYS, Store, reencoded_file, video_file

VIDEO, OTHER = "P01-R01-Pizza", "P01-R02-Salad"


@pytest.fixture
def small(parameters: PreparationParameters) -> PreparationParameters:
    return replace(parameters, video_short_side_px=48)


@pytest.fixture
def copies(root: Path, small: PreparationParameters, tmp_path: Path) -> Path:
    for video in (root / "videos").glob("P02*"):
        video.unlink()
    return prepare_here(root, tmp_path / "store", small)


def prepare_here(root: Path, store: Path, parameters: PreparationParameters) -> Path:
    return prepare("egtea", root, store, replace(parameters, split_fractions=(1, 0, 0)), workers=1)


@pytest.fixture
def made(copies: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The videos that are prepared from now on."""
    names: list[str] = []
    prepare_video = prepare_recording.prepare_video

    def noted(path: Path, *rest: object, **more: object) -> object:
        names.append(path.stem)
        return prepare_video(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare_recording, "prepare_video", noted)
    return names


@pytest.mark.parametrize(
    "damage",
    [
        lambda copy, other: copy.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2]),
        lambda copy, other: copy.write_bytes(other.read_bytes()),
        lambda copy, other: copy.unlink(),
    ],
    ids=["cut off", "another video", "missing"],
)
def test_a_damaged_copy_is_made_again(
    damage: Callable[[Path, Path], object], root: Path, copies: Path, small: PreparationParameters, made: list[str]
) -> None:
    copy = reencoded_file(copies, VIDEO)
    whole = copy.read_bytes()
    damage(copy, reencoded_file(copies, OTHER))
    prepare_here(root, copies, small)
    assert made == [VIDEO]
    assert copy.read_bytes() == whole
    Store(copies).check_videos([VIDEO, OTHER])


def test_a_copy_of_other_parameters_does_not_stay(
    root: Path, copies: Path, small: PreparationParameters, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preparation with another size is killed after a copy, and before its arrays."""
    copy = reencoded_file(copies, VIDEO)
    whole = copy.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    write_video_gaze = prepare_recording.write_video_gaze
    monkeypatch.setattr(prepare_recording, "write_video_gaze", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_here(root, copies, replace(small, video_short_side_px=64))
    monkeypatch.setattr(prepare_recording, "write_video_gaze", write_video_gaze)
    assert copy.read_bytes() != whole
    prepare_here(root, copies, small)
    assert made == [VIDEO, VIDEO]
    assert copy.read_bytes() == whole


def test_a_copy_of_which_nothing_is_known_is_made_again(
    root: Path, copies: Path, small: PreparationParameters, made: list[str]
) -> None:
    """As a store of before has it; it is read as it is."""
    path = video_file(copies, VIDEO)
    with safe_open(path, framework="numpy") as file:
        arrays, counts = {name: file.get_tensor(name) for name in ARRAYS}, json.loads(file.metadata()["gaze_vlm"])
    whole = path.read_bytes()
    del counts["copy_bytes"], counts["copy_ends"]
    path.write_bytes(save(arrays, {"gaze_vlm": json.dumps(counts)}))
    assert Store(copies).video(VIDEO).event.size
    prepare_here(root, copies, small)
    assert made == [VIDEO]
    assert path.read_bytes() == whole
    prepare_here(root, copies, small)
    assert made == [VIDEO]
