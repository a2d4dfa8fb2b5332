"""Where one of the processes of a training dies or fails, the others end soon, and say so."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.strategies.launchers.subprocess_script import _ChildProcessObserver
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from gaze_vlm.command_line.commands import resume_command
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training import peer_watch
from gaze_vlm.training.peer import Peer
from gaze_vlm.training.peer_watch import Watch, take_over
from killed_training import after_step, die, fail, get_a_signal, hang, train
from training_files import arguments

TWO = ("--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=1", "--run.save_every_minutes=0")
FAULTS: dict[str, tuple[Mapping[int, Callable[[], None]], list[int], str]] = {
    "one dies": ({1: die, 0: hang}, [1, -signal.SIGKILL], "process 1 of 2 HERE has died"),
    "the first dies": ({0: die}, [-signal.SIGKILL, 1], "process 0 of 2 HERE has died"),
    "one fails": ({1: fail, 0: hang}, [1, 1], "process 1 of 2 HERE failed: ArithmeticError: on one process alone"),
}


@pytest.mark.parametrize(
    ("acts", "statuses", "said"),
    [
        pytest.param(*fault, id=name, marks=[pytest.mark.cluster] if name == "the first dies" else [])
        for name, fault in FAULTS.items()
    ],
)
def test_the_others_end_and_say_which_process_died(
    acts: Mapping[int, Callable[[], None]],
    statuses: list[int],
    said: str,
    tiny_llava: Path,
    prepared: Path,
    tmp_path: Path,
) -> None:
    run, log = RunDirectory(tmp_path / "run"), tmp_path / "log.txt"
    options = [*arguments(run.path, tiny_llava, prepared), *TWO]
    assert train(options, log, 2, plan=partial(after_step, 2, acts)) == statuses
    line = re.escape(f"{said}; resume with: {resume_command(run)}\n")
    assert re.search(line.replace("HERE", rf"\(host \S+, pid \d+, log {log}\)"), log.read_text())
    assert run.state == "failed"
    if said.startswith("process 0"):
        assert train(resume_command(run).split()[2:], log, 2) == [0, 0]
        assert run.state == "finished"


def test_one_signal_to_one_process_stops_both_well(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    run, log = RunDirectory(tmp_path / "run"), tmp_path / "log.txt"
    options = [*arguments(run.path, tiny_llava, prepared), *TWO]
    plan = partial(after_step, 1, {1: get_a_signal})
    assert train(options, log, 2, plan=plan) == [143, 143]
    assert f"stopped at step 2; resume with: {resume_command(run)}\n" in log.read_text()
    assert run.state == "interrupted"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> torch.distributed.TCPStore:
    """The store of a training whose processes live and die faster."""
    for name, seconds in {"BEAT_S": 0.05, "SILENT_S": 1.0, "GRACE_S": 0.2, "STOP_S": 0.2, "TEARDOWN_S": 1.0}.items():
        monkeypatch.setattr(peer_watch, name, seconds)
    started = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(started.port))
    return started


@pytest.fixture
def ended(store: torch.distributed.TCPStore, monkeypatch: pytest.MonkeyPatch) -> SimpleQueue[tuple[int, str]]:
    """The ranks whose processes would have ended, and why."""
    said: SimpleQueue[tuple[int, str]] = SimpleQueue()

    def end(watch: Watch, verdict: str) -> None:
        watch.left.set()
        said.put((watch.peer.rank, verdict))

    monkeypatch.setattr(Watch, "end_process", end)
    return said


def distant(rank: int, processes: int = 2) -> Peer:
    """A process of a machine of its own."""
    return replace(Peer.this(rank, processes), machine=f"machine {rank}", log="")


def test_a_process_of_another_machine_has_died_once_it_is_silent(
    store: torch.distributed.TCPStore, ended: SimpleQueue[tuple[int, str]]
) -> None:
    peers = [distant(rank, 3) for rank in range(3)]
    watches = [Watch(peer, None, (), 0) for peer in peers[:2]]
    mute = torch.distributed.PrefixStore("gaze_vlm/0/0", store)
    mute.set("beat/2", "0")
    mute.set("peer/2", peers[2].text())
    assert sorted(ended.get(timeout=10) for _ in watches) == [(rank, f"{peers[2]} has died") for rank in (0, 1)]


def test_an_error_is_told_and_an_end_is_none(
    store: torch.distributed.TCPStore, ended: SimpleQueue[tuple[int, str]]
) -> None:
    _, second = (Watch(distant(rank), None, (), 0) for rank in range(2))
    second.leave(ValueError("no such\nthing"))
    failed = f"{second.peer} failed: ValueError: no such thing"
    assert ended.get(timeout=10) == (0, failed)
    assert ended.get(timeout=10) == (1, f"{failed}; it did not end by itself")
    watches = [Watch(distant(rank), None, (), 1) for rank in range(2)]
    for watch in reversed(watches):
        watch.leave()
    with pytest.raises(Empty):
        ended.get(timeout=1)


def test_lightning_no_longer_kills_what_it_started() -> None:
    """Its observer would, where one has ended, before any of them can say so."""
    first, child = (subprocess.Popen(["sleep", "60"]) for _ in range(2))
    launcher = _SubprocessScriptLauncher(LightningEnvironment(), 2, 1)
    launcher.procs = [child]
    observer = _ChildProcessObserver(first.pid, launcher.procs)
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(launcher=launcher))
    assert take_over(trainer) == [child]
    launcher.kill(signal.SIGTERM)
    assert child.wait() == -signal.SIGTERM
    assert observer._run()
    assert first.poll() is None
    first.kill()
    first.wait()


@pytest.mark.long
@pytest.mark.parametrize("killed", [0, 1])
def test_processes_that_lightning_starts_end_with_one_that_is_killed(
    killed: int, tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    run, log = RunDirectory(tmp_path / "run"), tmp_path / "log.txt"
    options = [*arguments(run.path, tiny_llava, prepared, steps=10_000), *TWO, "--data.workers=1"]
    with log.open("w") as stream:
        first = subprocess.Popen([sys.executable, "-m", "gaze_vlm", "fit", *options], stdout=stream, stderr=stream)
    try:
        while first.poll() is None and not run.last.is_file():
            time.sleep(0.1)
        child = second_process(first.pid)
        dead = (first.pid, child)[killed]
        os.kill(dead, signal.SIGKILL)
        assert first.wait(60) == (-signal.SIGKILL, 1)[killed]
        end = time.monotonic() + 30
        while Path(f"/proc/{child}").exists() and time.monotonic() < end:
            time.sleep(0.1)
        assert not Path(f"/proc/{child}").exists()
        assert re.search(
            rf"process {killed} of 2 \(host \S+, pid {dead}, log {log}\) has died; resume", log.read_text()
        )
        assert run.state == "failed"
    finally:
        first.kill()


def second_process(first: int) -> int:
    """The process of a training that Lightning started; its loaders have no variables of their own."""
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    (second,) = (int(pid) for pid in children if b"LOCAL_RANK=1" in Path(f"/proc/{pid}/environ").read_bytes())
    return second
