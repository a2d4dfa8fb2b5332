"""Trainings in processes that have a fault at a step: forks of one that has imported what a training needs."""

import multiprocessing
import os
import resource
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

LIMIT_S = 300  # of a training of some steps, on a machine that does much else
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["gaze_vlm.processes.warm_imports"])


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    """Let no file become larger than those of the metrics."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def fail() -> None:
    """Raise what no other process does."""
    raise ArithmeticError("on one process alone")


def hang() -> None:
    """Wait as in a collective of NCCL that the others do not make."""
    threading.Event().wait()


def get_a_signal() -> None:
    """Get what a cluster sends before the time is up."""
    os.kill(os.getpid(), signal.SIGTERM)


def train(
    options: Sequence[str],
    log: Path,
    processes: int = 1,
    kill: tuple[str, int] | None = None,
    fault: Callable[[], None] = die,
    plan: Callable[[int], None] | None = None,
) -> list[int]:
    """Run `fit` in some processes that train together; the exit status of each, negative for a signal.

    Args:
        options: of `fit`.
        log: gets the output of all.
        processes: how many.
        kill: a hook of `LastCheckpoint` and an optimiser step: after it all processes have the fault, at the first call
            with this step.
        fault: what happens to them.
        plan: called with the rank of each process before it trains, to plan what is not alike for all.
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
        of_process = None if plan is None else partial(plan, rank)
        started.append(CONTEXT.Process(target=_train, args=(list(options), log, of_rank, kill, fault, of_process)))
        started[-1].start()
    for process in started:
        process.join(LIMIT_S)
        process.kill()
        process.join()
    return [int(process.exitcode or 0) for process in started]


def _train(
    options: list[str],
    log: Path,
    environment: dict[str, str],
    kill: tuple[str, int] | None,
    fault: Callable[[], None],
    plan: Callable[[], None] | None,
) -> None:
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.environ.update(environment)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())  # a comparison's fork server blocks some
    multiprocessing.set_start_method(None, force=True)
    if kill is not None:
        _after(*kill, fault)
    if plan is not None:
        plan()
    sys.argv = ["gaze_vlm", "fit", *options]
    runpy.run_module("gaze_vlm", run_name="__main__", alter_sys=True)


def signal_all() -> None:
    """Get it as some clusters send it: the processes of the loaders, too."""
    for child in multiprocessing.active_children():
        os.kill(int(child.pid or 0), signal.SIGTERM)
    get_a_signal()


def after_step(step: int, faults: Mapping[int, Callable[[], None]], rank: int) -> None:
    """Plan the faults of some ranks after an optimiser step."""
    if rank in faults:
        _after("on_train_batch_end", step, faults[rank])


def without_gaze(samples: Mapping[int, slice], rank: int) -> None:
    """Plan that some samples of each batch, by the rank of their process, have no valid gaze."""
    from gaze_vlm.backbones.collator import Collator

    original = Collator.__call__

    def collate(self: Collator, clips: list[Any]) -> Any:
        batch = original(self, clips)
        batch.valid[samples.get(rank, slice(0))] = False
        return batch

    Collator.__call__ = collate  # type: ignore[method-assign]


def without_frames(path: Path, pts: Sequence[int], rank: int) -> None:
    """Plan that the frames of one clip cannot be read, in whatever process it is served."""
    from gaze_vlm.datamodules import dataset
    from gaze_vlm.errors import InputError

    read = dataset.frames_at

    def frames_at(file: Path, wanted: Sequence[int], **more: Any) -> Any:
        if file == path and [*wanted] == [*pts]:
            raise InputError(f"{file}: no frame with pts {pts[0]}")
        return read(file, wanted, **more)

    dataset.frames_at = frames_at  # type: ignore[assignment]


def _after(hook: str, step: int, fault: Callable[[], None]) -> None:
    from gaze_vlm.training.resuming import LastCheckpoint

    original = getattr(LastCheckpoint, hook)

    def with_fault(self: LastCheckpoint, trainer: Any, *rest: Any, **more: Any) -> None:
        original(self, trainer, *rest, **more)
        if trainer.global_step == step and not trainer.sanity_checking:
            fault()

    setattr(LastCheckpoint, hook, with_fault)
