"""Processes that work on items: some die, some raise, and all stop with whom they work for."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gaze_vlm.workers import Died, Report, work_on

KILLED = "was killed by SIGKILL; the kernel counts no lack of memory, so a batch system or somebody did it"
SLEEPER = """
import sys
from pathlib import Path
from gaze_vlm.workers import work_on
from test_workers import Marks

for one in work_on(Marks(Path(sys.argv[1])), ["sleeps", "sleeps too"], 2):
    pass
"""


@dataclass(frozen=True)
class Marks:
    """Work that leaves a mark with its process, and does what the item says: `once` is what it does the first time."""

    folder: Path

    def __call__(self, item: str, report: Report) -> str:
        mark = self.folder / item
        first = not mark.exists()
        with mark.open("a") as file:
            file.write(f"{os.getpid()}\n")
        report(0.5)
        if item == "always" or (item == "once" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "leaves":
            os._exit(3)
        if item == "raises":
            raise OSError(28, "no room")
        if item.startswith("sleeps"):
            time.sleep(600)
        return item.upper()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_dying_process_costs_its_item_alone(tmp_path: Path, workers: int) -> None:
    shares: list[tuple[int, str, float]] = []
    names = ["a", "always", "b", "once", "leaves", "c", "d"]
    done = dict(work_on(Marks(tmp_path), names, workers, lambda *share: shares.append(share)))
    lives = {name: name.upper() for name in ("a", "b", "once", "c", "d")}
    assert done == lives | {"always": Died(KILLED), "leaves": Died("ended with status 3")}
    assert {(item, share) for _, item, share in shares} == {(name, 0.5) for name in names}
    assert {number for number, _, _ in shares} <= set(range(workers))
    tries = {name: len((tmp_path / name).read_text().split()) for name in names}
    assert tries == {"a": 1, "always": 2, "b": 1, "once": 2, "leaves": 2, "c": 1, "d": 1}


def test_what_the_work_raises_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no room") as raised:
        list(work_on(Marks(tmp_path), ["raises", "sleeps"], 2))
    assert raised.value.errno == 28
    assert "in __call__" in raised.value.__notes__[0]
    assert_gone(tmp_path / "sleeps")


def test_processes_stop_with_the_work(tmp_path: Path) -> None:
    done = work_on(Marks(tmp_path), ["sleeps", "a", "b"], 2)
    assert next(done) == ("a", "A")
    wait_for(lambda: read(tmp_path / "sleeps") != "")
    done.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(read(tmp_path / "sleeps")), 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_one_that_they_work_for(tmp_path: Path, number: signal.Signals) -> None:
    """At once, whatever they are at, and however that one ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(tmp_path)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's `&` ignores it
    )
    marks = [tmp_path / "sleeps", tmp_path / "sleeps too"]
    wait_for(lambda: all(read(mark) for mark in marks))
    process.send_signal(number)
    process.wait(timeout=60)
    for mark in marks:
        assert_gone(mark)


def assert_gone(mark: Path) -> None:
    """Check that the process that left a mark, if one did, ends."""
    if read(mark):
        wait_for(lambda: not Path(f"/proc/{int(read(mark))}").exists())


def read(mark: Path) -> str:
    return mark.read_text() if mark.is_file() else ""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
