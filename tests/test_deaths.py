"""Why a process has died, by its signal and the kernel's counts."""

import multiprocessing
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from gaze_vlm.cli import main
from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.datamodules import dataset as datasets
from gaze_vlm.datamodules.loader_deaths import loader_deaths, loader_processes
from gaze_vlm.deaths import MemoryKills
from gaze_vlm.errors import CommandError
from gaze_vlm.runs.directory import RunDirectory
from killed_training import die
from training_files import arguments

LESS = "lower data.workers, data.cached_clips or data.batch_size"


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/job_7/step_0", "job_7/step_0/memory.events"),
        ("0::/of/the/host", "memory.events"),
        ("4:memory:/job_7\n1:cpu:/\n0::/", "memory/job_7/memory.oom_control"),
        ("4:cpu,memory:/docker/1f", "memory/memory.oom_control"),
    ],
    ids=["version 2", "version 2 in a container", "version 1", "version 1 in a container"],
)
def test_what_the_kernel_kills_for_lack_of_memory_is_counted(groups: str, file: str, tmp_path: Path) -> None:
    count, machine, of_process = tmp_path / file, tmp_path / "vmstat", tmp_path / "cgroup"
    count.parent.mkdir(parents=True, exist_ok=True)
    of_process.write_text(groups)
    count.write_text("oom 3\noom_kill 2\n")
    machine.write_text("nr_free_pages 7\noom_kill 11\n")
    kills = MemoryKills(of_process, tmp_path, machine)
    assert kills.why(signal.SIGKILL) == (
        "was killed by SIGKILL; the kernel counts no lack of memory, so a batch system or somebody did it"
    )
    machine.write_text("nr_free_pages 7\noom_kill 12\n")
    assert kills.why(signal.SIGKILL) == "was killed for lack of memory: the machine's memory was used up"
    count.write_text("oom 3\noom_kill 3\n")
    for number in (signal.SIGKILL, None):
        assert kills.why(number) == "was killed for lack of memory: the job's or container's memory was used up"
    assert kills.why(signal.SIGSEGV) == "died by SIGSEGV"


class Dies:
    """A data set whose samples do what they are asked to."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return self.act()


class NoRoom:
    """What torch does with a tensor for which `/dev/shm` has no room."""

    def __reduce__(self) -> Any:
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_1_2_0>: No space left on device (28)"
        )


DEATHS = {
    "SIGKILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), rf"was killed by SIGKILL; .*: {LESS}"),
    "SIGBUS": (
        lambda: os.kill(os.getpid(), signal.SIGBUS),
        rf"died by SIGBUS: /dev/shm, .* GB are free .*: {LESS}",
    ),
    "SIGSEGV": (lambda: os.kill(os.getpid(), signal.SIGSEGV), "died by SIGSEGV: with data.workers=0 the fault shows"),
    "SIGTERM": (
        lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(2)],  # the first is the training's alone
        "died by SIGTERM: a batch system, a launcher or somebody sent it twice",
    ),
    "exit": (lambda: os._exit(3), "ended with status 3: with data.workers=0 the fault shows"),
    "no room in /dev/shm": (NoRoom, rf"died by SIGBUS: .*: {LESS}"),
    "a batch that cannot be handed over": (threading.Lock, "ended with status 1"),
}


@pytest.mark.parametrize(("act", "said"), DEATHS.values(), ids=DEATHS)
def test_a_loader_process_that_dies_is_one_line(act: Any, said: str) -> None:
    loader = DataLoader(Dies(act), collate_fn=list, **loader_processes(1))  # type: ignore[arg-type]
    with pytest.raises(CommandError, match=rf"^a loader process \(pid \d+\) {said}"), loader_deaths():
        list(loader)


def test_loaders_processes_are_forks_whatever_pythons_default_is() -> None:
    """Since Python 3.14 they would not be: started from nothing, each would import torch first."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("forkserver", force=True)
    try:
        assert list(DataLoader(Dies(lambda: "made"), collate_fn=list, **loader_processes(1))) == [["made"]]  # type: ignore[arg-type]
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_it_is_seen_after_a_training_too(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """In the test that follows it in the same process, whose handlers Lightning has put back."""
    options = [*arguments(tmp_path / "run", tiny_llava, prepared, steps=1), "--run.test_after_fit=true"]
    before = signal.getsignal(signal.SIGCHLD)

    test_dataloader = ClipDataModule.test_dataloader

    def broken(self: ClipDataModule) -> DataLoader[Any]:
        monkeypatch.setattr(datasets, "frames_at", lambda *_, **__: die())
        return test_dataloader(self)

    monkeypatch.setattr(ClipDataModule, "test_dataloader", broken)
    assert main(["fit", *options, "--data.features=null", "--data.workers=1"]) == 1
    assert re.search(r"fit: error: a loader process \(pid \d+\) was killed by SIGKILL", capsys.readouterr().err)
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()  # the training was whole
    assert signal.getsignal(signal.SIGCHLD) == before


def test_other_errors_of_a_loader_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="of our own"), loader_deaths():
        raise RuntimeError("of our own")


def test_a_training_says_why_its_loader_died(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(datasets, "frames_at", lambda *_, **__: die())
    options = [*arguments(tmp_path / "run", tiny_llava, prepared), "--data.features=null", "--data.workers=1"]
    assert main(["fit", *options]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("gaze-vlm fit: error: a loader process (pid ")
    assert RunDirectory(tmp_path / "run").state == "failed"
