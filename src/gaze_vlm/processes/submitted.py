"""Commands as jobs of a SLURM cluster, by submitit."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from gaze_vlm.errors import InputError
from gaze_vlm.processes.guarded import start_guarded
from gaze_vlm.processes.launcher import Launcher
from gaze_vlm.progress import say
from gaze_vlm.shipped.configs import locate_config

JOBS = 500
"""Jobs handed to the cluster at a time, unless asked for otherwise; the cluster decides which of them run."""
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
        """Run the command in the folder of the comparison; its exit status."""
        self.process = start_guarded(self.command, self.log, {}, self.folder)
        return self.process.wait()

    def checkpoint(self) -> Any:
        """Stop the command as a signal stops it; return what goes on from there."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            # Not `wait`: this runs in a signal's handler, within the `wait` of the call, which holds its lock.
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(SubmittedCommand(self.resumed(self.command), self.log, self.resumed))


class Submitted(Launcher):
    """Run commands, each as a job of a cluster; a signal cancels them.

    A job that a killed comparison left is cancelled before the first is handed in: its command would write beside
    its successor.

    Args:
        file: YAML with submitit's options, such as `slurm_partition` and `timeout_min`. `cluster` names what runs the
            jobs: `slurm` where it is left out, or `local` for this machine.
        folder: for submitit's files, seen from all machines.
        resumed: see `Resumed`.

    Raises:
        InputError: submitit is not installed, the machine has no SLURM, or the file is not what submitit takes.
    """

    def __init__(self, file: Path | None, folder: Path, resumed: Resumed) -> None:
        super().__init__()
        self.resumed = resumed
        self.folder = folder
        self.executor = make_executor(file, folder)
        self.lock = threading.Lock()
        self.running: dict[str, Any] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        for left in sorted(self.folder.glob("*.running")):
            self._cancel_left(left.stem)
            left.unlink(missing_ok=True)
        return self

    def __call__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> int:
        with self.lock:  # the environment shares this machine's cores, and a node has its own: it is not handed on
            if self.stopped_by is not None:
                return 128 + self.stopped_by
            self.executor.update_parameters(name="-".join(["gaze-vlm", *log.parts[-3:-1]]))
            job = self.executor.submit(SubmittedCommand(command, log, self.resumed))
            self.running[job.job_id] = job
            marked = self.folder / f"{job.job_id}.running"
            marked.touch()
        try:
            job.wait()
            error = job.exception()
        finally:
            self.running.pop(job.job_id, None)
            marked.unlink(missing_ok=True)
        if error is None:
            return int(job.result())
        with log.open("a", encoding="utf-8") as stream:
            print(f"job {job.job_id} ended without a result: {error}\nits own log: {job.paths.stderr}", file=stream)
        return 1

    def _cancel_left(self, job: str) -> None:
        from submitit import SlurmJob

        if self.executor.cluster == "slurm":
            say(f"job {job} is of a comparison that was killed: it is cancelled")
            SlurmJob(folder=self.folder, job_id=job).cancel(check=False)

    def stop(self, number: int) -> None:
        self.stopped_by = number
        for job in list(self.running.values()):
            job.cancel(check=False)


def make_executor(file: Path | None, folder: Path) -> Any:
    """Make submitit's executor.

    Raises:
        InputError: see `Submitted`.
    """
    try:
        import submitit
    except ImportError as error:
        raise InputError("engine submitit needs submitit: pip install 'gaze-vlm-lightning[cluster]'") from error
    options = read_options(file)
    cluster = options.pop("cluster", "slurm")
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(**options)
    except (RuntimeError, ValueError, TypeError, NameError, AssertionError) as error:
        raise InputError(f"{file}: submitit refuses these options: {error}") from error
    return executor


def read_options(file: Path | None) -> dict[str, Any]:
    """Read submitit's options.

    Raises:
        InputError: there is no file, or it is no mapping.
    """
    if file is None:
        raise InputError("engine submitit needs engine_options, such as lightning_configs/cluster/submitit.yaml")
    try:
        options = yaml.safe_load(locate_config(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file} is no YAML of submitit's options: {error}") from error
    if not isinstance(options, dict):
        raise InputError(f"{file} is no mapping of submitit's options, such as `timeout_min: 60`")
    return options
