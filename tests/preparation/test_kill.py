"""A preparation that is killed or interrupted at any moment, and then finished, gives the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare

MOMENTS = int(os.environ.get("GAZE_VLM_KILLS", "3"))


@pytest.fixture(scope="module")
def copied(parameters: PreparationParameters) -> PreparationParameters:
    """With copies of the videos, so that more is written."""
    return replace(parameters, video_short_side_px=96)


@pytest.fixture(scope="module")
def whole(raw_root: Path, copied: PreparationParameters, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed preparation writes."""
    store = tmp_path_factory.mktemp("whole") / "store"
    process = start(raw_root, store, copied)
    process.communicate(timeout=300)
    assert process.returncode == 0
    return content(store)


def start(root: Path, store: Path, parameters: PreparationParameters) -> subprocess.Popen:
    """`gaze-vlm prepare` in a process group of its own, at the moment when it has begun to write."""
    command = [sys.executable, "-m", "gaze_vlm", "prepare", "--dataset", "egtea", "--root", str(root)]
    for name in ("observation_s", "split_fractions", "video_short_side_px"):
        value = getattr(parameters, name)
        command += [f"--parameters.{name}", str(list(value) if isinstance(value, tuple) else value)]
    command += ["--store", str(store), "--workers", "2"]
    process = subprocess.Popen(
        command,
        start_new_session=True,
        stderr=subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's `&` ignores it
    )
    while not store.is_dir() and process.poll() is None:
        time.sleep(0.005)
    return process


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def content(store: Path) -> dict[str, bytes]:
    files = [path for path in store.rglob("*") if path.is_file() and path.suffix != ".tmp"]
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


@pytest.mark.parametrize("seed", range(MOMENTS))
def test_a_killed_preparation_is_finished_to_the_same_bytes(
    raw_root: Path,
    copied: PreparationParameters,
    whole: dict[str, bytes],
    tmp_path: Path,
    seed: int,
) -> None:
    generator = random.Random(seed)
    process = start(raw_root, tmp_path / "store", copied)
    after_files = generator.randrange(len(whole))
    while len(content(tmp_path / "store")) < after_files and process.poll() is None:
        time.sleep(0.002)
    time.sleep(generator.uniform(0, 0.2))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(0.1)  # a worker may outlive the signal by a moment
    drafts = len(list((tmp_path / "store").rglob("*.tmp")))
    print(f"moment {seed}: {len(content(tmp_path / 'store'))} files and {drafts} drafts of {len(whole)}")
    prepare("egtea", raw_root, tmp_path / "store", copied, workers=1)
    assert content(tmp_path / "store") == whole
    assert not list((tmp_path / "store").rglob("*.tmp"))


@pytest.mark.parametrize(
    ("number", "status", "how", "after_files"),
    [
        (signal.SIGINT, 130, "interrupted", 0),
        (signal.SIGINT, 130, "interrupted", 3),
        (signal.SIGTERM, 143, "stopped by SIGTERM", 3),
    ],
    ids=["Ctrl-C", "Ctrl-C later", "SIGTERM"],
)
def test_a_signal_stops_all_processes_and_can_go_on(
    raw_root: Path,
    copied: PreparationParameters,
    whole: dict[str, bytes],
    tmp_path: Path,
    number: int,
    status: int,
    how: str,
    after_files: int,
) -> None:
    process = start(raw_root, tmp_path / "store", copied)
    while len(content(tmp_path / "store")) < after_files:
        time.sleep(0.002)
    send = os.killpg if number == signal.SIGINT else os.kill  # a terminal sends its own to all processes
    send(process.pid, number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == status
    resumes = "the same command goes on from what is finished"
    assert said.decode().splitlines()[-1] == f"gaze-vlm prepare: {how}; {resumes}"
    assert "Traceback" not in said.decode()
    until_s = time.monotonic() + 60
    while is_alive(process.pid) and time.monotonic() < until_s:
        time.sleep(0.02)
    assert not is_alive(process.pid)
    assert not (tmp_path / "store" / "manifest.json").exists()
    assert not list((tmp_path / "store").rglob(".*.tmp"))
    prepare("egtea", raw_root, tmp_path / "store", copied, workers=1)
    assert content(tmp_path / "store") == whole
    shutil.rmtree(tmp_path / "store")
