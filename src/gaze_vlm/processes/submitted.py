"""Commands as jobs of a SLURM cluster, by submitit."""

import math
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Self

import yaml

from gaze_vlm.command_line.composition import parse_yaml
from gaze_vlm.errors import InputError
from gaze_vlm.output import used_alone, writing
from gaze_vlm.processes.launcher import Launcher
from gaze_vlm.processes.submitted_command import Resumed, SubmittedCommand
from gaze_vlm.progress import say
from gaze_vlm.shipped.configs import locate_config

JOBS = 500
"""Jobs handed to the cluster at a time, unless asked for otherwise; the cluster decides which of them run."""
POLL_S = 1.0
"""Between two looks at whether jobs have ended."""


class Submitted(Launcher):
    """Run commands, each as a job of a cluster; a signal cancels them.

    One comparison at a time uses a folder. Jobs that a comparison left when it was stopped or killed are cancelled,
    and have ended, before the first is handed in: their commands would write beside their successors.

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
        self.alone = ExitStack()
        self.running: dict[str, Any] = {}

    def __enter__(self) -> Self:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.alone.enter_context(used_alone(self.folder, "used for a comparison"))
        super().__enter__()
        left = sorted(self.folder.glob("*.running"))
        if self.is_slurm:
            for mark in left:
                say(f"job {mark.stem} is of a comparison that was stopped or killed: it is cancelled")
            end_jobs([mark.stem for mark in left])
        for mark in left:
            mark.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.alone.close()

    @property
    def is_slurm(self) -> bool:
        """Whether the jobs are SLURM's, not processes of this machine."""
        return bool(self.executor.cluster == "slurm")

    def __call__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> int:
        from submitit.core.utils import FailedJobError

        with self.lock:  # the environment shares this machine's cores, and a node has its own: it is not handed on
            if self.stopped_by is not None:
                return 128 + self.stopped_by
            try:
                job = self._submit(command, log)
            except FailedJobError as error:
                return _note_failure(log, f"the cluster took no job; fewer at a time: --jobs\n{error}")
            self.running[job.job_id] = job
            marked = self.folder / f"{job.job_id}.running"
            marked.touch()
        if self.stopped_by is not None:  # while it was handed in
            job.cancel(check=False)
        first = job.task(0)  # of the others a result may be left from before the job was handed in again
        while self.stopped_by is None and not self._is_done(first):
            time.sleep(POLL_S)
        if self.stopped_by is not None:
            return 128 + self.stopped_by  # its mark stays: it may end long after this comparison
        self.running.pop(job.job_id, None)
        failure = first.exception()
        if failure is not None and self.is_slurm:
            end_jobs([job.job_id])  # it may be suspended, or about to be handed in again
        marked.unlink(missing_ok=True)
        if failure is None:
            return int(first.result())
        return _note_failure(
            log, f"job {job.job_id} ended without a result: {failure}\nits own log: {first.paths.stderr}"
        )

    def _submit(self, command: list[str], log: Path) -> Any:
        """Hand a job in; from within a job, without the variables of that one."""
        from submitit.helpers import clean_env

        self.executor.update_parameters(name="-".join(["gaze-vlm", *log.parts[-3:-1]]))
        with clean_env() if "SLURM_JOB_ID" in os.environ else nullcontext():
            return self.executor.submit(SubmittedCommand(command, log, self.resumed))

    def _is_done(self, job: Any) -> bool:
        with self.lock:  # or every thread would ask SLURM at once
            return bool(job.done())

    def stop(self, number: int) -> None:
        self.stopped_by = number
        for job in list(self.running.values()):
            job.cancel(check=False)


def _note_failure(log: Path, text: str) -> int:
    """Say in a log why a command has failed; its exit status."""
    with log.open("a", encoding="utf-8") as stream:
        print(text, file=stream)
    return 1


def end_jobs(jobs: Sequence[str]) -> None:
    """Cancel jobs of SLURM, and wait until none is in its queue: one that is stopped still writes for a while."""
    for job in jobs:
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
        options = parse_yaml(locate_config(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file} is no YAML of submitit's options: {error}") from error
    if not isinstance(options, dict):
        raise InputError(f"{file} is no mapping of submitit's options, such as `timeout_min: 60`")
    return options
