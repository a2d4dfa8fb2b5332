"""Commands as jobs of a SLURM cluster, by submitit."""

import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from gaze_vlm.command_line.commands import shares_its_work
from gaze_vlm.errors import InputError
from gaze_vlm.processes.guarded import start_guarded
from gaze_vlm.processes.launcher import Launcher
from gaze_vlm.progress import say
from gaze_vlm.shipped.configs import locate_config

JOBS = 500
"""Jobs handed to the cluster at a time, unless asked for otherwise; the cluster decides which of them run."""
POLL_S = 1.0
"""Between two looks at whether jobs have ended."""
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

        Of several tasks of a job, the first alone runs a command whose work they cannot share.
        """
        from submitit import JobEnvironment

        if JobEnvironment().global_rank > 0 and not shares_its_work(self.command):
            return 0
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

    Jobs that a comparison left when it was stopped or killed are cancelled, and have ended, before the first is handed
    in: their commands would write beside their successors.

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
        left = sorted(self.folder.glob("*.running"))
        if self.executor.cluster == "slurm":
            end_jobs([mark.stem for mark in left])
        for mark in left:
            mark.unlink(missing_ok=True)
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
        first = job.task(0)  # of the others a result may be left from before the job was handed in again
        while not first.done():
            if self.stopped_by is not None:
                return 128 + self.stopped_by  # its mark stays: it may end long after this comparison
            time.sleep(POLL_S)
        self.running.pop(job.job_id, None)
        marked.unlink(missing_ok=True)
        error = first.exception()
        if error is None:
            return int(first.result())
        with log.open("a", encoding="utf-8") as stream:
            print(f"job {job.job_id} ended without a result: {error}\nits own log: {first.paths.stderr}", file=stream)
        return 1

    def stop(self, number: int) -> None:
        self.stopped_by = number
        for job in list(self.running.values()):
            job.cancel(check=False)


def end_jobs(jobs: Sequence[str]) -> None:
    """Cancel jobs of SLURM, and wait until none is in its queue: one that is stopped still writes for a while."""
    for job in jobs:
        say(f"job {job} is of a comparison that was stopped or killed: it is cancelled")
        subprocess.run(["scancel", job], check=False)
    told_s = -math.inf
    while jobs:
        asked = ["squeue", "--noheader", "--format=%i", f"--jobs={','.join(jobs)}"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        if answer.returncode == 0 or "Invalid job id" in answer.stderr:
            jobs = answer.stdout.split()
        if jobs and time.monotonic() > told_s + 60:
            told_s = time.monotonic()
            say(f"waiting until jobs are out of SLURM's queue: {', '.join(jobs)} {answer.stderr.strip()}".rstrip())
        if jobs:
            time.sleep(POLL_S)


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
    if cluster == "local" and options.get("tasks_per_node", 1) != 1:
        raise InputError(
            f"{file}: tasks_per_node {options['tasks_per_node']} with cluster: local, whose tasks are no processes of "
            "one training: leave it out, and give the training --trainer.devices"
        )
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
