"""Commands that a comparison runs: stopped with it, and none outlives it."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gaze_vlm.command_line.commands import PROGRAM
from gaze_vlm.processes.following import following
from gaze_vlm.processes.guarded import start_guarded
from gaze_vlm.processes.launcher import Launcher
from gaze_vlm.processes.warmed import WarmedProcess, WarmedRun


class Subprocesses(Launcher):
    """Run commands as processes of this machine.

    The last line of each log is said now and then. Each command has a process group of its own, so that it gets a
    signal once, with all that it started. A second signal kills.

    Args:
        warmed: starts the commands of this package; None starts an interpreter for each.
    """

    def __init__(self, warmed: WarmedProcess | None = None) -> None:
        super().__init__()
        self.warmed = warmed
        self.running: set[subprocess.Popen[bytes] | WarmedRun] = set()

    def __call__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> int:
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        process = self._start(command, log, environment)
        self.running.add(process)
        if self.stopped_by is not None:  # while it started
            _send(process, self.stopped_by)
        try:
            with following(log):
                return process.wait()
        finally:
            self.running.discard(process)
            if isinstance(process, subprocess.Popen) and process.stdin is not None:
                process.stdin.close()

    def _start(
        self, command: list[str], log: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | WarmedRun:
        program, args = tuple(command[: len(PROGRAM)]), command[len(PROGRAM) :]
        if self.warmed is not None and program == PROGRAM:
            return self.warmed.start(args, log, environment)
        return start_guarded(command, log, environment)

    def stop(self, number: int) -> None:
        sent = number if self.stopped_by is None else signal.SIGKILL
        self.stopped_by = number
        for process in list(self.running):
            _send(process, sent)


def _send(process: subprocess.Popen[bytes] | WarmedRun, number: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.killpg(process.pid, number)
