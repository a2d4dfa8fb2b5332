"""Runs that start warm: each is a fork of one process that has imported what a training imports.

That process is Python's own fork server. It imports and never computes: a fork has none of the threads of a
computation, and would wait for them for ever.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, util
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TypeVar

from gaze_vlm.errors import CommandError
from gaze_vlm.progress import say, show_warnings_plainly
from gaze_vlm.sockets import check_sockets, replace_lost_server
from gaze_vlm.workers import end_with_parent

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What stops a comparison: passed on to its runs."""
IMPORTED = ["gaze_vlm.processes.warm_imports"]
SERVER_DIED = 255
"""Exit status that multiprocessing reports of a process whose fork server is gone."""
DIED = "the process that runs are started from has died: its error is above, or there was not enough memory"
CONTEXT = multiprocessing.get_context("forkserver")
_imported_by: dict[int, list[str]] = {}
"""Process id of a fork server of ours → the modules that it has imported; Python has one such server at a time."""

Result = TypeVar("Result")


class WarmedProcess:
    """Starts commands of this package and calls functions, each in a fork of one process.

    It is started by the first of them, and ends with this process.

    Args:
        environment: variables of that process, beside this one's: torch reads its number of threads at import.
        imported: modules that it imports before the first fork.

    Raises:
        InputError: processes cannot be talked to, for where temporary files are.
    """

    def __init__(self, environment: Mapping[str, str], imported: Sequence[str] = IMPORTED) -> None:
        check_sockets()
        self.environment = environment
        self.imported = [*imported]
        self.lock = threading.Lock()  # multiprocessing looks after all its processes whenever it starts one

    def call(self, function: Callable[..., Result], *args: object) -> Result:
        """Return what a function returns, or raise what it raises.

        Raises:
            CommandError: its process was killed.
        """
        with ProcessPoolExecutor(1, CONTEXT, initializer=_begin, initargs=(Path.cwd(),)) as pool:
            try:
                with self._starting():
                    result = pool.submit(function, *args)
                return result.result()
            except BrokenProcessPool as error:
                raise CommandError(DIED) from error
            except (KeyboardInterrupt, SystemExit):
                for child in CONTEXT.active_children():
                    child.kill()
                raise

    def start(self, args: Sequence[str], log: Path, environment: Mapping[str, str]) -> "WarmedRun":
        """Start a command of this package in a process group of its own.

        Its output is appended to a log.

        Raises:
            CommandError: it could not be started.
        """
        begun, theirs = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=_run, args=(theirs, args, log.absolute(), dict(environment), Path.cwd()))
        with self._starting():
            process.start()
        theirs.close()
        try:
            begun.recv()
        except EOFError as error:
            raise CommandError(DIED) from error
        return WarmedRun(process, self.lock)

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Start a process, from one thread at a time, with the fork server running.

        The server gets no signals, nor has a fork any until `_begin`: they are the comparison's to pass on.

        Raises:
            CommandError: the server died.
        """
        with self.lock:
            before, allowed = dict(os.environ), signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            os.environ.update(self.environment)
            try:
                self._ensure_running()
            finally:
                os.environ.clear()
                os.environ.update(before)
                signal.pthread_sigmask(signal.SIG_SETMASK, allowed)
            try:
                yield
            except (OSError, EOFError) as error:
                raise CommandError(DIED) from error

    def _ensure_running(self) -> None:
        """Start the fork server, in the place of one that a kitchen or a preparation in this process has left."""
        replace_lost_server()
        server: Any = forkserver._forkserver
        if _imported_by.get(server._forkserver_pid) != self.imported and not multiprocessing.active_children():
            server._stop()
        CONTEXT.set_forkserver_preload(self.imported)
        before = server._forkserver_pid
        forkserver.ensure_running()
        if server._forkserver_pid != before:
            _imported_by[server._forkserver_pid] = self.imported


class WarmedRun:
    """A command that was started; the part of `subprocess.Popen` that a comparison needs."""

    def __init__(self, process: ForkServerProcess, lock: threading.Lock) -> None:
        assert process.pid is not None
        self.process = process
        self.pid = process.pid
        self.lock = lock

    def wait(self) -> int:
        """Wait for its end; return its exit status, negative for a signal."""
        wait([self.process.sentinel])
        with self.lock:
            self.process.join()
        status = self.process.exitcode
        assert status is not None
        if status == SERVER_DIED:
            say(DIED)
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        return status


def _run(begun: Connection, args: Sequence[str], log: Path, environment: Mapping[str, str], folder: Path) -> None:
    """Do in a fork what `python -m gaze_vlm` would do in a process of its own."""
    _begin(folder)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    begun.send(None)
    begun.close()
    os.environ.update(environment)
    if "torch" in sys.modules and "OMP_NUM_THREADS" in environment:  # which it has read at its import
        sys.modules["torch"].set_num_threads(int(environment["OMP_NUM_THREADS"]))
    multiprocessing.set_start_method(None, force=True)  # loaders' processes start as they do elsewhere
    sys.argv = ["gaze_vlm", *args]
    atexit._clear()  # what the server is to do at its end
    atexit.register(util._exit_function)  # type: ignore[attr-defined]  # a run gives its own locks back
    try:
        runpy.run_module("gaze_vlm", run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # as multiprocessing does since Python 3.14 alone: loggers end their runs so


def _begin(folder: Path) -> None:
    """Make a process group without input, allow signals, and end with the comparison."""
    os.setsid()
    os.chdir(folder)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    show_warnings_plainly()
    end_with_parent(lambda: os.killpg(0, signal.SIGKILL))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
