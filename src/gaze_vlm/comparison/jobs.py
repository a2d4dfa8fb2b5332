"""Jobs: the commands that fill run directories, several at a time, with what they depend on."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self, TypeVar

from gaze_vlm.command_line.commands import PROGRAM
from gaze_vlm.comparison.warmed import SIGNALS, WarmedProcess, WarmedRun
from gaze_vlm.cores import cores
from gaze_vlm.errors import CommandError, UserError
from gaze_vlm.json_files import parse_object
from gaze_vlm.output import write_atomically
from gaze_vlm.progress import say, track
from gaze_vlm.runs.directory import RunDirectory

SHOWN_LINES = 20

Launch = Callable[[list[str], Path, Mapping[str, str]], int]
"""Runs a command with more environment variables, appends its output to a log file; the exit status."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """A command of this package that fills a run directory.

    Args:
        command: with its options, such as `fit --config=…`.
        directory: it is emptied before the command, and has the stamp once the results are checked.
        inputs: files whose content the results depend on.
        check: raises an InputError where the command left something else than was asked for.
    """

    command: Sequence[str]
    directory: RunDirectory
    inputs: Sequence[Path]
    check: Callable[[], object]

    def dependencies(self) -> dict[str, str]:
        """Return the command and the digest of each input, by name."""
        digests = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in self.inputs}
        return {"command": " ".join(self.command), **digests}

    def changed(self, fix: str) -> list[str]:
        """Name the dependencies that differ from those of the stamp, which must be there.

        Raises:
            InputError: the stamp is damaged; `fix` is the advice.
        """
        stamp = self.directory.stamp
        old, new = parse_object(stamp.read_bytes(), stamp, fix), self.dependencies()
        return [key for key in dict.fromkeys([*new, *old]) if old.get(key) != new.get(key)]

    def run(self, launch: Launch, environment: Mapping[str, str]) -> None:
        """Run the command from its beginning, check what it left, and write the stamp.

        Raises:
            CommandError: the command failed.
            InputError: it left something else than was asked for.
        """
        directory = self.directory
        shutil.rmtree(directory.path, ignore_errors=True)  # what an interrupted command left would mix with this
        run_or_raise(launch, [*PROGRAM, *self.command], directory.log, environment)
        self.check()
        write_atomically(directory.stamp, json.dumps(self.dependencies(), indent=2, ensure_ascii=False) + "\n")


def run_or_raise(launch: Launch, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
    """Run a command with a log of its own, which stderr names.

    Raises:
        CommandError: the command failed; the message ends with the last lines of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    say(f"begins: {log}")
    status = launch(command, log, environment)
    if status != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
        shown = "\n".join(f"  {line}" for line in lines)
        ended = f"failed with status {status}" if status > 0 else f"was killed by signal {-status}"
        raise CommandError(f"command {ended}: {' '.join(command)}\n{shown}\nwhole log: {log}")


def thread_environment(jobs: int) -> dict[str, str]:
    """Return environment variables that share the cores among `jobs` processes."""
    return {"OMP_NUM_THREADS": str(max(1, cores() // jobs)), "OMP_WAIT_POLICY": "PASSIVE"}


def in_parallel(
    work: Callable[[Item], None], items: Sequence[Item], jobs: int, description: str
) -> dict[Item, UserError]:
    """Do the work on all items; return those that failed with a user's error.

    Each such error is reported on stderr at once. Any other exception keeps further items from starting, and is raised
    at the end.
    """
    pool = ThreadPoolExecutor(max_workers=jobs)
    futures: dict[Future[None], Item] = {pool.submit(work, item): item for item in items}
    failed: dict[Item, UserError] = {}
    try:
        for future in track(as_completed(futures), description, total=len(futures)):
            try:
                future.result()
            except UserError as error:
                failed[futures[future]] = error
                say(str(error))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return failed


class Subprocesses:
    """Run commands from several threads; within `with`, signals reach them all.

    Each command has a process group of its own, so that it gets a signal once, with all that it started. A second
    signal kills.

    Args:
        warmed: starts the commands of this package; None starts an interpreter for each.
    """

    def __init__(self, warmed: WarmedProcess | None = None) -> None:
        self.warmed = warmed
        self.running: set[subprocess.Popen[bytes] | WarmedRun] = set()
        self.stopped_by: int | None = None
        self.handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.handlers = {number: signal.signal(number, self._stop) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def __call__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> int:
        """Run a command with its output appended to the log; its exit status."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        process = self._start(command, log, environment)
        self.running.add(process)
        if self.stopped_by is not None:  # while it started
            _send(process, self.stopped_by)
        try:
            return process.wait()
        finally:
            self.running.discard(process)

    def _start(
        self, command: list[str], log: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | WarmedRun:
        program, args = tuple(command[: len(PROGRAM)]), command[len(PROGRAM) :]
        if self.warmed is not None and program == PROGRAM:
            return self.warmed.start(args, log, environment)
        with log.open("ab") as stream:
            return subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def _stop(self, number: int, frame: FrameType | None) -> None:
        sent = number if self.stopped_by is None else signal.SIGKILL
        self.stopped_by = number
        for process in list(self.running):
            _send(process, sent)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


def _send(process: subprocess.Popen[bytes] | WarmedRun, number: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.killpg(process.pid, number)
