"""What a run is asked, and how long its windows are, where nothing is said."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.errors import InputError
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.inference.questions import Question, questions_of, trained_on, window_times
from gaze_vlm.inference.windows import WindowTimes


def write_run(folder: Path, **data: Any) -> str:
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    return str(folder)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("kitchen-llava")


def test_a_run_gives_the_times_and_the_questions_of_its_training(
    tmp_path: Path, prepared: Path, backbone: Backbone
) -> None:
    trained = trained_on(write_run(tmp_path, store=str(prepared), prompts={"future": "And then?"}))
    assert questions_of(trained, None) == [
        Question("What is the camera wearer doing?", "activity"),
        Question("And then?", "future"),
    ]
    assert window_times(trained, backbone) == WindowTimes(observation_s=4.0, stride_s=1.0, frame_hz=1.0)
    assert window_times(trained, backbone, stride_s=2.5) == WindowTimes(4.0, 2.5, 1.0)
    gone = trained_on(write_run(tmp_path, store=str(tmp_path / "gone")))
    assert window_times(gone, backbone) == WindowTimes(5.0, 5.0, 1.0)


def test_windows_are_whole_frame_groups() -> None:
    backbone: Any = SimpleNamespace(layout=SimpleNamespace(frames_per_group=2))
    trained = trained_on("kitchen-llava")
    assert window_times(trained, backbone) == WindowTimes(6.0, 6.0, 1.0)
    with pytest.raises(InputError, match=r"observation_s 3 at frame_hz 1 makes 3 frames, of which the model takes 2"):
        window_times(trained, backbone, observation_s=3.0)
    for hz in (1e5, 1e308):
        with pytest.raises(InputError, match="makes more than 10000 frames"):
            window_times(trained, backbone, frame_hz=hz)


def test_a_run_that_reads_gaze_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path, store="x", gaze_input="words")
    with pytest.raises(InputError, match=r"reads gaze beside the frames \(data.gaze_input is 'words'\), which videos"):
        trained_on(run)


def test_a_damaged_store_is_named(tmp_path: Path, prepared: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    manifest = (prepared / "manifest.json").read_text().replace('"frame_hz": 1.0', '"frame_hz": "fast"')
    (store / "manifest.json").write_text(manifest)
    with pytest.raises(
        InputError, match=r"manifest.json is damaged \(frame_hz is 'fast'\): run `gaze-vlm prepare` again"
    ):
        trained_on(write_run(tmp_path, store=str(store)))
