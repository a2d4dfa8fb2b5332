"""Processes of loaders: how they start, and where one dies a line that says why; none is waited for for ever."""

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from types import FrameType
from typing import Any

from torch.utils.data._utils import signal_handling

from gaze_vlm.deaths import MemoryKills
from gaze_vlm.errors import CommandError

OF_TORCH = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? (?P<pids>[\d, ]+)\) "
    r"(?:is killed by signal: (?P<signal>.+?)\. |exited unexpectedly(?: with exit code (?P<status>\d+))?)"
)
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # clusters send the last two before the time is up
OF_MEMORY = (signal.SIGKILL, signal.SIGBUS)
LESS = "lower data.workers, data.cached_clips or data.batch_size"
ALONE = "with data.workers=0 the fault shows where it is"


@contextmanager
def loader_deaths() -> Iterator[None]:
    """Around what loads: turn the death of a loader's process into one line.

    Raises:
        CommandError: naming the process, the reason and what to do.
    """
    kills = MemoryKills()
    try:
        with _seen_by_torch():
            yield
    except RuntimeError as error:
        if (death := death_of_loader(error, kills)) is None:
            raise
        raise CommandError(death) from error


@contextmanager
def _seen_by_torch() -> Iterator[None]:
    """Let torch see such deaths for as long as something loads.

    It sets its handler once, and after a training Lightning puts back the one that it found: a death in the test would
    not be seen. What still runs when nothing loads any more is ended with this process, and is no fault.
    """
    if threading.current_thread() is not threading.main_thread():  # it may set no handler
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    signal_handling._SIGCHLD_handler_set = False
    signal_handling._set_SIGCHLD_handler()
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
        signal_handling._SIGCHLD_handler_set = False


def death_of_loader(error: BaseException, kills: MemoryKills) -> str | None:
    """Say what torch's error means; None for any other error."""
    found = None
    cause: BaseException | None = error
    while cause is not None:  # the first that torch noticed says the most
        found = OF_TORCH.match(str(cause)) or found
        cause = cause.__cause__ or cause.__context__
    if found is None:
        return None
    if found["status"] is not None:
        return f"a loader process (pid {found['pids']}) ended with status {found['status']}: {ALONE}"
    number = next((one for one in signal.valid_signals() if signal.strsignal(one) == found["signal"]), None)
    advice = LESS if number in OF_MEMORY or kills.cause() is not None else ALONE
    if number == signal.SIGTERM:
        advice = "a batch system, a launcher or somebody sent it twice"
    return f"a loader process (pid {found['pids']}) {kills.why(number)}: {advice}"


def loader_processes(workers: int) -> dict[str, Any]:
    """Return the options of a `DataLoader` for its processes.

    On Linux they are forks of this one, whatever Python's default is (since 3.14 they are not): a fork has at once what
    is imported here, and its end is seen.
    """
    forked = {"multiprocessing_context": "fork"} if workers and sys.platform == "linux" else {}
    return {"num_workers": workers, "worker_init_fn": start_loader_process, **forked}


def start_loader_process(worker: int) -> None:
    """Begin a loader's process: its `worker_init_fn`.

    One that cannot hand over a batch ends, for the training would wait for ever: where `/dev/shm` has no room, as if it
    had been written beyond its end. A first signal that stops a training is the training's alone: a terminal and some
    clusters send it to every process, and the step that is ended needs its batches.
    """
    for number in STOPPING:
        signal.signal(number, _once)

    def end(error: Exception, batch: Any) -> None:
        if "shared memory" in str(error):
            signal.pthread_kill(threading.get_ident(), signal.SIGBUS)  # at once: it is for this thread
        traceback.print_exception(error)
        os._exit(1)

    Queue._on_queue_feeder_error = staticmethod(end)  # type: ignore[attr-defined]


def _once(number: int, frame: FrameType | None) -> None:
    """Let the next signal end this process, as torch does with one that does not end by itself."""
    signal.signal(number, signal.SIG_DFL)
