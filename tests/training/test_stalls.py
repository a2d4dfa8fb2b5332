"""A run that stands still says where; one that moves says nothing."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gaze_vlm.cli import main
from gaze_vlm.training.module import GazeVLM
from gaze_vlm.training.stalls import REPORTS, StallWatch
from training_files import arguments

STALLED_S = 0.3


@pytest.fixture
def watch() -> Iterator[StallWatch]:
    """Begun in the second process of two; however busy the machine, it does not seem frozen."""
    watch = StallWatch(STALLED_S, frozen_after_s=300)
    watch.start(SimpleNamespace(global_rank=1, world_size=2), None)
    yield watch
    watch.stop()


def test_a_stalled_run_says_where_a_few_times(watch: StallWatch, capfd: pytest.CaptureFixture) -> None:
    time.sleep((REPORTS + 3) * STALLED_S)
    shown = capfd.readouterr().err
    assert shown.count("no batch has ended for") == REPORTS
    assert "in test_a_stalled_run_says_where_a_few_times" in shown
    assert all(line.startswith(f"[rank 1 of 2, pid {os.getpid()} on ") for line in shown.splitlines())
    watch.batch_ended()
    time.sleep(2 * STALLED_S)
    watch.stop()
    assert "no batch has ended for" in capfd.readouterr().err


def test_one_that_moves_or_has_ended_says_nothing(watch: StallWatch, capfd: pytest.CaptureFixture) -> None:
    for _ in range(20):
        time.sleep(STALLED_S / 10)
        watch.batch_ended()
    watch.stop()
    time.sleep(2 * STALLED_S)
    assert capfd.readouterr().err == ""


def test_a_call_that_lets_no_thread_run_is_seen_too(capfd: pytest.CaptureFixture) -> None:
    watch = StallWatch(STALLED_S)
    watch.start(SimpleNamespace(global_rank=0, world_size=1), None)
    time.sleep(STALLED_S / 2)  # until it has looked once
    ctypes.PyDLL(None).usleep(int(4 * STALLED_S * 1e6))
    watch.stop()
    shown = capfd.readouterr().err
    assert "most recent call first" in shown
    assert "in test_a_call_that_lets_no_thread_run_is_seen_too" in shown


def test_a_process_that_was_suspended_is_well_afterwards() -> None:
    """As by Ctrl-Z, or by a cluster that lets another job run: its threads ran while one of them was read."""
    code = f"""
import threading, time
from types import SimpleNamespace
from gaze_vlm.training.stalls import StallWatch
def busy(depth):
    return depth and busy(depth - 1)
def work():
    while True:
        busy(50)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
watch = StallWatch({STALLED_S})
watch.start(SimpleNamespace(global_rank=0, world_size=1), None)
end_s = time.monotonic() + 8 * {STALLED_S}
print("begun", flush=True)
while time.monotonic() < end_s:
    watch.batch_ended()
    busy(50)
watch.stop()
print("well")
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(STALLED_S)
        process.send_signal(signal.SIGSTOP)
        time.sleep(4 * STALLED_S)
        process.send_signal(signal.SIGCONT)
        said, shown = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "well\n"), shown
    assert "Stack (most recent call first)" in shown  # the timer ended, and a thread wrote its own


def test_a_training_is_watched(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    step = GazeVLM.training_step

    def slow_step(self: GazeVLM, batch: Any, batch_idx: int) -> Any:
        time.sleep(2)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(GazeVLM, "training_step", slow_step)
    options = [*arguments(tmp_path / "run", tiny_llava, prepared, steps=1), "--run.stalled_after_minutes=0.02"]
    assert main(["fit", *options]) == 0
    assert "in slow_step" in capfd.readouterr().err
