"""The local engine: one video a process, on all cores, and no video's death takes the others with it."""

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from gaze_vlm.deaths import MemoryKills
from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.prepare_recording import Outcome, Outcomes, PrepareRecording
from gaze_vlm.progress import WorkerProgress

TRIES = 2  # a process that ran out of memory may have enough when others have ended


def run_in_process(
    job: PrepareRecording, recordings: Sequence[Recording], part: Callable[[WorkerProgress], None]
) -> Outcomes:
    """Yield outcomes of this process; `part` gets how far each video is."""
    for recording in recordings:

        def report(share: float, name: str = recording.video_id) -> None:
            part(WorkerProgress(0, name, share))

        yield job(recording, report)


@dataclass
class _Worker:
    index: int
    process: BaseProcess
    connection: Connection
    recording: Recording | None = None


def run_local(
    job: PrepareRecording, recordings: Sequence[Recording], workers: int, part: Callable[[WorkerProgress], None]
) -> Outcomes:
    """Yield outcomes of `workers` processes, in the order in which they are done.

    `part` is called with how far each video is. A video whose process dies is tried once more, after the others; if it
    dies again that is its reason. When the iterator is closed, or fails, the processes are stopped.
    """
    # A plain fork would inherit the locks of decoder threads; the server imports once for all workers.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    waiting, deaths, kills = deque(recordings), Counter[str](), MemoryKills()
    pool: dict[Connection, _Worker] = {}
    free = list(reversed(range(workers)))
    try:
        while waiting or pool:
            while waiting and free:
                worker = _start(context, free.pop(), job)
                pool[worker.connection] = worker
                _assign(worker, waiting)
            for connection in wait(list(pool)):
                assert isinstance(connection, Connection)
                worker = pool[connection]
                message = _receive(connection)
                if isinstance(message, float):
                    assert worker.recording is not None
                    part(WorkerProgress(worker.index, worker.recording.video_id, message))
                    continue
                if message is None:
                    assert worker.recording is not None
                    deaths[worker.recording.video_id] += 1
                    if deaths[worker.recording.video_id] < TRIES:
                        waiting.append(worker.recording)
                    else:
                        yield Outcome(worker.recording.video_id, _death(worker, kills))
                else:
                    yield message
                if message is None or not waiting:
                    _stop(pool.pop(connection))
                    free.append(worker.index)
                else:
                    _assign(worker, waiting)
    finally:
        for worker in pool.values():
            _stop(worker)


def _start(context: multiprocessing.context.ForkServerContext, index: int, job: PrepareRecording) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, job), daemon=True)
    with _without_interrupts():
        process.start()
    theirs.close()  # so that the end of the process is the end of the connection
    return _Worker(index, process, ours)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from processes that start here: the parent stops them.

    The server of all others is among them.
    """
    resource_tracker.ensure_running()  # would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, job: PrepareRecording) -> None:
    """A worker process: videos in, shares and outcomes out, until there is no one to work for."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # by which it is stopped, whoever began its server
    try:
        while True:
            connection.send(job(connection.recv(), connection.send))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _assign(worker: _Worker, waiting: deque[Recording]) -> None:
    worker.recording = waiting.popleft()
    try:
        worker.connection.send(worker.recording)
    except BrokenPipeError:
        return  # it has died; the next receive says so


def _receive(connection: Connection) -> Outcome | float | None:
    """What the worker says; None if it has died."""
    try:
        message: Outcome | float = connection.recv()
    except (EOFError, ConnectionResetError):
        return None
    return message


def _stop(worker: _Worker) -> None:
    worker.process.terminate()
    worker.process.join()
    worker.connection.close()


def _death(worker: _Worker, kills: MemoryKills) -> str:
    worker.process.join()
    code = worker.process.exitcode
    how = kills.why(-code) if code is not None and code < 0 else f"ended with status {code}"
    hint = "; give it fewer workers" if kills.cause() is not None else ""
    assert worker.recording is not None
    return f"{worker.recording.video}: {TRIES} times, the process that prepared it {how}{hint}"
