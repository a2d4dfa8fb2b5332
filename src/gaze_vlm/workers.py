"""Work on several items at once, an item a process: none's death takes the others with it, and no process is left."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any, TypeVar, cast

from gaze_vlm.deaths import MemoryKills
from gaze_vlm.errors import CommandError
from gaze_vlm.progress import show_warnings_plainly
from gaze_vlm.sockets import check_sockets, replace_lost_server

TRIES = 2  # a process that ran out of memory may have enough when others have ended

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[float], None]
"""Is given the share of its work that is done."""


@dataclass(frozen=True)
class Died:
    """In place of a result: how the process has died that worked on an item, each time that it was tried."""

    how: str


def results_of(
    job: Callable[[Item, Report], Result], items: Sequence[Item], workers: int
) -> Generator[Result, None, None]:
    """Yield the results of work that needs all of them, in the order in which they are done; see `work_on`.

    Raises:
        CommandError: the process of an item has died.
    """
    with closing(work_on(job, items, workers)) as done:
        for _, result in done:
            if isinstance(result, Died):
                raise CommandError(f"{TRIES} times, a process {result.how}: run the same command again")
            yield result


@dataclass
class _Worker:
    number: int
    process: ForkServerProcess
    connection: Connection
    place: int  # of the item that it is at


def work_on(
    job: Callable[[Item, Report], Result],
    items: Sequence[Item],
    workers: int,
    on_share: Callable[[int, Item, float], None] = lambda *_: None,
) -> Generator[tuple[Item, Result | Died], None, None]:
    """Yield each item with its result, in the order in which they are done.

    An item whose process dies is tried once more, after the others. When the iterator is closed, or fails, the
    processes are stopped; they end with this one, however it ends.

    Args:
        job: what is done with an item; it is pickled, and its results are.
        items: they are pickled.
        workers: how many processes.
        on_share: is given the number of a worker, its item, and the share that the job reports of it.

    Raises:
        InputError: processes cannot be talked to, for where temporary files are.
        Exception: what the job raised, with where it did as a note.
    """
    check_sockets()
    # A plain fork would inherit the locks of decoder threads; the server imports once for all workers.
    context = multiprocessing.get_context("forkserver")
    function = getattr(job, "func", job)  # of a partial
    context.set_forkserver_preload([getattr(function, "__module__", type(function).__module__)])
    waiting, deaths, kills = deque(range(len(items))), Counter[int](), MemoryKills()
    pool: dict[Connection, _Worker] = {}
    free = list(reversed(range(workers)))
    try:
        while waiting or pool:
            while waiting and free:
                worker = _start(context, free.pop(), job)
                pool[worker.connection] = worker
                _assign(worker, waiting.popleft(), items)
            for connection in cast(list[Connection], wait(list(pool))):
                worker = pool[connection]
                place, item = worker.place, items[worker.place]
                kind, content = _receive(connection)
                if kind == "share":
                    on_share(worker.number, item, content)
                    continue
                if kind == "error":
                    raise content
                if kind == "result":
                    yield item, content
                elif deaths[place] + 1 < TRIES:
                    deaths[place] += 1
                    waiting.append(place)
                else:
                    yield item, Died(_death(worker.process, kills))
                if kind == "result" and waiting:
                    _assign(worker, waiting.popleft(), items)
                else:
                    _stop(pool.pop(connection))
                    free.append(worker.number)
    finally:
        for worker in pool.values():
            _stop(worker)


def _start(context: multiprocessing.context.ForkServerContext, number: int, job: Callable[..., Any]) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, job), daemon=True)
    with _without_interrupts():
        process.start()
    theirs.close()  # so that the end of the process is the end of the connection
    return _Worker(number, process, ours, place=-1)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from processes that start here: the parent stops them.

    The server of all others is among them.
    """
    resource_tracker.ensure_running()  # would let interrupts through again
    replace_lost_server()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, job: Callable[[Any, Report], Any]) -> None:
    """A worker process: items in, shares and results out, until there is no one to work for."""
    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGKILL))  # nobody waits for what this process is at
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # by which it is stopped, whoever began its server
    show_warnings_plainly()

    def report(share: float) -> None:
        connection.send(("share", share))

    try:
        while True:
            connection.send(_done(job, connection.recv(), report))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _done(job: Callable[[Any, Report], Any], item: Any, report: Report) -> tuple[str, Any]:
    try:
        return "result", job(item, report)
    except (BrokenPipeError, ConnectionResetError):
        raise  # of the connection
    except Exception as error:
        error.add_note(f"in a process of its own:\n{traceback.format_exc()}")
        return "error", error


def end_with_parent(kill: Callable[[], None]) -> None:
    """Call `kill` once the process that started this one through multiprocessing has ended, however it ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_and_kill() -> None:
        parent.join()
        kill()

    threading.Thread(target=wait_and_kill, daemon=True).start()


def _assign(worker: _Worker, place: int, items: Sequence[Any]) -> None:
    worker.place = place
    try:
        worker.connection.send(items[place])
    except BrokenPipeError:
        return  # it has died; the next receive says so


def _receive(connection: Connection) -> tuple[str, Any]:
    """What the worker says, by its kind; the kind is empty if it has died."""
    try:
        message: tuple[str, Any] = connection.recv()
    except (EOFError, ConnectionResetError):
        return "", None
    return message


def _stop(worker: _Worker) -> None:
    worker.process.terminate()
    worker.process.join()
    worker.connection.close()


def _death(process: ForkServerProcess, kills: MemoryKills) -> str:
    process.join()
    code = process.exitcode
    how = kills.why(-code) if code is not None and code < 0 else f"ended with status {code}"
    return f"{how}{'; give it fewer workers' if kills.cause() is not None else ''}"
