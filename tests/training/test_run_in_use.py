"""A run, and the folder that it was exported to, are asked about videos: `gaze-vlm caption` and `gaze-vlm look`."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from egtea_files import iterate_frames, texture, turn, write_video
from gaze_vlm.cli import main
from gaze_vlm.inference import answering
from gaze_vlm.inference.clips import answer, clip_of_frames
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.inference.windows import Window
from html_checks import data_of
from killed_training import CONTEXT
from real_files import OPENCV, real_file

WINDOWS_S = {"run": [0.0, 1.0, 2.0, 3.0, 4.0], "export": [0.0, 4.0]}  # an export's follow each other


@pytest.fixture(scope="module")
def models(gaze_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    exported = tmp_path_factory.mktemp("exported") / "model"
    assert main(["export", f"--run={gaze_run}", f"--output={exported}"]) == 0
    return {"run": str(gaze_run), "export": str(exported), "shipped": "kitchen-llava"}


@pytest.fixture(scope="module")
def video(raw_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds, alone in their folder."""
    return Path(shutil.copy(raw_root / "videos" / "P01-R01-Pizza.mp4", tmp_path_factory.mktemp("videos")))


def frames_of(path: Path) -> list[tuple[int, float, np.ndarray]]:
    """All frames of a video: pts, seconds from its first frame, RGB."""
    return list(iterate_frames(path))


def rows_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.parametrize("form", ["run", "export"])
def test_it_captions_as_it_was_trained(form: str, models: dict[str, str], video: Path, tmp_path: Path) -> None:
    """Windows are as long as its clips, and each answer is about the frames on screen then."""
    output = tmp_path / "captions.jsonl"
    options = [f"--videos={video.parent}", f"--output={output}", "--device=cpu"]
    assert main(["caption", f"--model={models[form]}", *options]) == 0
    rows = rows_of(output)
    assert [(row["start_s"], row["end_s"]) for row in rows[::2]] == [(t_s, t_s + 4) for t_s in WINDOWS_S[form]]
    assert [row["task"] for row in rows] == ["activity", "future"] * len(WINDOWS_S[form])
    backbone, frames, times_s = load_backbone(models["run"]), frames_of(video), [1.0, 2.0, 3.0, 4.0]
    for row in rows:
        shown = [[image for _, at_s, image in frames if at_s <= row["start_s"] + t_s + 1e-6][-1] for t_s in times_s]
        pixels = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2)
        assert row["answer"] == answer(backbone, [clip_of_frames(pixels, times_s, row["prompt"])])[0]


@pytest.mark.parametrize("form", ["run", "export"])
def test_it_is_looked_at_with_its_gaze_block(form: str, models: dict[str, str], video: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    asked = [f"--video={video}", "--prompt=what is the camera wearer doing ?", "--answer=cut onion"]
    assert main(["look", f"--model={models[form]}", *asked, f"--output={file}", "--device=cpu"]) == 0
    page = data_of(file.read_text(encoding="utf-8"))
    assert [source["title"] for source in page["sources"]] == ["Vision tower", "Gaze block", "Language model"]


def made_here(folder: Path) -> None:
    """Ten minutes at an irregular frame rate, and 20 s of a phone held upright."""
    rng, still = np.random.default_rng(0), texture(0)
    images = [still[:48, place : place + 64] for place in rng.integers(0, 400, 6000)]
    ticks = rng.choice([200, 280], len(images)).cumsum()
    write_video(folder / "ten_minutes.mp4", images, ticks - ticks[0])
    turn(write_video(folder / "phone.mp4", images[:480]), (0, 1, -1, 0))


@pytest.fixture(scope="module", params=["made here", "OpenCV's"])
def any_videos(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("any")
    if request.param == "made here":
        made_here(folder)
    else:
        (folder / "vtest.avi").symlink_to(real_file(OPENCV / "vtest.avi"))
    return folder


@pytest.mark.long
@pytest.mark.parametrize("model", ["run", "export", "shipped"])
def test_any_videos_are_captioned_to_the_frame_also_when_killed(
    model: str, models: dict[str, str], any_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options(output: Path) -> list[str]:
        times = ["--observation_s=4", "--stride_s=10", "--frame_hz=2"]
        return ["caption", f"--model={models[model]}", f"--videos={any_videos}", f"--output={output}", *times]

    read: list[tuple[Path, Window]] = []

    def noting(path: Path, *given: Any) -> Iterator[Window]:
        for window in read_windows(path, *given):
            read.append((path, window))
            yield window

    read_windows = answering.read_windows
    whole, killed = tmp_path / "whole" / "captions.jsonl", tmp_path / "killed" / "captions.jsonl"
    whole.parent.mkdir()
    killed.parent.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(answering, "read_windows", noting)
        assert main(options(whole)) == 0
    check_times(read, rows_of(whole))

    kill_when_begun(options(killed), killed)
    assert 0 < len(killed.read_bytes()) < len(whole.read_bytes())
    assert main(options(killed)) == 0
    assert killed.read_bytes() == whole.read_bytes()


def check_times(read: list[tuple[Path, Window]], rows: list[dict[str, Any]]) -> None:
    """Rows have the times of the windows, whose frames are on screen then, and the last ends with its video."""
    assert [(path.name, window.start_s, window.end_s) for path, window in read] == [
        (row["video"], row["start_s"], row["end_s"]) for row in rows[::2]
    ]
    for path in {path for path, _ in read}:
        frames = frames_of(path)
        windows = [window for other, window in read if other == path]
        assert [window.start_s for window in windows[:-1]] == [10.0 * number for number in range(len(windows) - 1)]
        assert frames[-1][1] < windows[-1].end_s + 0.5  # the time between two frames that are sampled
        for window in windows:
            at_s = [window.start_s + (number + 1) / 2 for number in range(8)]
            on_screen = [[pts for pts, t_s, _ in frames if t_s <= at + 1e-6][-1] for at in at_s]
            assert list(window.pts) == on_screen


def kill_when_begun(options: list[str], output: Path) -> None:
    """Kill a command of its own process once a few lines are written."""
    process = CONTEXT.Process(target=main, args=(options,))
    process.start()
    until = time.monotonic() + 300
    while process.is_alive() and time.monotonic() < until and not (output.exists() and output.stat().st_size > 500):
        time.sleep(0.005)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
