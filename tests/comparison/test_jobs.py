"""Commands of a comparison have a log, and end with it."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from gaze_vlm.comparison.jobs import Subprocesses

PARENT = """
import sys
from pathlib import Path
from gaze_vlm.comparison.jobs import Subprocesses, in_parallel

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_a_comparison_stops_its_commands(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stderr=subprocess.DEVNULL,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's `&` ignores it
    )
    logs = [tmp_path / "first", tmp_path / "second"]
    deadline = time.monotonic() + 120
    while not all(log.exists() and log.read_text().endswith("\n") for log in logs):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)  # to it alone, where a terminal would reach the group
    assert process.wait(timeout=60) in (1, -number, 128 + number)
    for log in logs:
        with pytest.raises(ProcessLookupError):
            os.kill(int(log.read_text().splitlines()[0]), 0)
    assert not (tmp_path / "third").exists()
