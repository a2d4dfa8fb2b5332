"""Commands of a comparison have a log, and end with it."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from gaze_vlm.processes.subprocesses import Subprocesses
from waiting import wait_until

PARENT = """
import sys
from pathlib import Path
from gaze_vlm.processes.jobs import in_parallel
from gaze_vlm.processes.subprocesses import Subprocesses

folder = Path(sys.argv[1])
child = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
with Subprocesses() as launch:
    work = lambda name: launch([sys.executable, "-c", child], folder / name, {})
    in_parallel(work, ["first", "second", "third"], 2, "commands")
"""


def test_a_command_runs_with_its_log_and_environment(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    code = "import os, sys; print(os.environ['OMP_NUM_THREADS']); sys.exit('no luck')"
    assert Subprocesses()([sys.executable, "-c", code], log, {"OMP_NUM_THREADS": "1"}) == 1
    assert log.read_text() == "1\nno luck\n"


def test_a_command_that_is_killed_is_said_to_be(tmp_path: Path) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert Subprocesses()([sys.executable, "-c", code], tmp_path / "log.txt", {}) == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_stops_a_comparison_stops_its_commands(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stderr=subprocess.DEVNULL,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's `&` ignores it
    )
    logs = [tmp_path / "first", tmp_path / "second"]
    wait_until(lambda: all(log.exists() and log.read_text().endswith("\n") for log in logs))
    assert process.poll() is None
    process.send_signal(number)  # to it alone, where a terminal would reach the group
    assert process.wait(timeout=60) in (1, -number, 128 + number)
    wait_until(lambda: not any(is_alive(int(log.read_text().splitlines()[0])) for log in logs))
    assert not (tmp_path / "third").exists()


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As `nohup` has it of a terminal that closes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Subprocesses():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not (stat.is_file() and ") Z " in stat.read_text())  # one that has ended, and nobody waits for
