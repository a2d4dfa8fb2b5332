"""Trainings in processes that have a fault at a step: forks of one that has imported what a training needs."""

import multiprocessing
import os
import resource
import runpy
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["gaze_vlm.processes.warm_imports"])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    """Let no file become larger than those of the metrics."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def train(
    options: Sequence[str],
    log: Path,
    processes: int = 1,
    kill: tuple[str, int] | None = None,
    fault: Callable[[], None] = die,
) -> list[int]:
    """Run `fit` in some processes that train together; the exit status of each, negative for a signal.

    Args:
        options: of `fit`.
        log: gets the output of all.
        processes: how many.
        kill: a hook of `LastCheckpoint` and an optimiser step: after it all processes have the fault, at the first call
            with this step.
        fault: what happens to them.
    """
    environment: dict[str, str] = {}
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = []
    for rank in range(processes):
        of_rank = environment | ({"LOCAL_RANK": str(rank), "NODE_RANK": "0"} if processes > 1 else {})
        started.append(CONTEXT.Process(target=_train, args=(list(options), log, of_rank, kill, fault)))
        started[-1].start()
    for process in started:
        process.join(120)
        process.kill()
        process.join()
    return [int(process.exitcode or 0) for process in started]


def _train(
    options: list[str], log: Path, environment: dict[str, str], kill: tuple[str, int] | None, fault: Callable[[], None]
) -> None:
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.environ.update(environment)
    multiprocessing.set_start_method(None, force=True)
    if kill is not None:
        _after(*kill, fault)
    sys.argv = ["gaze_vlm", "fit", *options]
    runpy.run_module("gaze_vlm", run_name="__main__", alter_sys=True)


def _after(hook: str, step: int, fault: Callable[[], None]) -> None:
    from gaze_vlm.training.resuming import LastCheckpoint

    original = getattr(LastCheckpoint, hook)

    def with_fault(self: LastCheckpoint, trainer: Any, *rest: Any, **more: Any) -> None:
        original(self, trainer, *rest, **more)
        if trainer.global_step == step and not trainer.sanity_checking:
            fault()

    setattr(LastCheckpoint, hook, with_fault)
