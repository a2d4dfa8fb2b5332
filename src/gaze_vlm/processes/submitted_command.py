"""A command as a job of submitit runs it: it goes on where it was stopped."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gaze_vlm.command_line.commands import shares_its_work
from gaze_vlm.processes.guarded import start_guarded

Resumed = Callable[[list[str]], list[str]]
"""Makes of a command that was stopped the one that goes on from what it left."""


class SubmittedCommand:
    """A command as submitit calls it on a node.

    Where the time of the job is up, or another job takes the node, submitit calls `checkpoint` and hands the job in
    again with what that returns.

    Args:
        command: with its options.
        log: its output is appended to it.
        resumed: see `Resumed`; it must be a function of a module.
    """

    def __init__(self, command: list[str], log: Path, resumed: Resumed) -> None:
        self.command = command
        self.log = log.absolute()
        self.resumed = resumed
        self.folder = Path.cwd()
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Run the command in the folder of the comparison; its exit status.

        Of several tasks of a job, the first alone runs a command whose work they cannot share. A job that SLURM handed
        in again by itself, as where a node died, goes on from what it left.
        """
        from submitit import JobEnvironment

        if JobEnvironment().global_rank > 0 and not shares_its_work(self.command):
            return 0
        restarted = int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
        command = self.resumed(self.command) if restarted else self.command
        self.process = start_guarded(command, self.log, {}, self.folder)
        return self.process.wait()

    def checkpoint(self) -> Any:
        """Stop the command as a signal stops it; return what goes on from there."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            # Not `wait`: this runs in a signal's handler, within the `wait` of the call, which holds its lock.
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(SubmittedCommand(self.resumed(self.command), self.log, self.resumed))
