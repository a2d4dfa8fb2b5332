"""Trains and tests what a comparison still lacks: one subprocess a step, several runs at a time."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.planned_runs import (
    LOG,
    PlannedRun,
    before_seed_command,
    fit_command,
    read_planned,
    write_stamp,
)
from gaze_vlm.errors import CommandError, UserError
from gaze_vlm.progress import say, track

SHOWN_LINES = 20

Launch = Callable[[list[str], Path, Mapping[str, str]], int]
"""Runs a command with more environment variables, appends its output to a log file; the exit status."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Failure:
    """Why something that a comparison needs is not there: its command failed, and `log` says more."""

    what: str
    log: Path

    def __str__(self) -> str:
        return f"{self.what}, {self.log}"


def train_missing(
    comparison: Comparison, missing: Sequence[PlannedRun], jobs: int, launch: Launch
) -> dict[PlannedRun, Failure]:
    """Trains and tests runs, each from its beginning. One that fails does not keep the others from their end.

    Args:
        comparison: what they belong to.
        missing: the runs.
        jobs: runs at a time; each has its share of the cores.
        launch: runs a command, such as `Subprocesses`.

    Returns:
        The runs that failed, or whose `before_seed` command did.
    """
    environment = thread_environment(jobs)
    first = list(dict.fromkeys((plan.backbone, plan.seed) for plan in missing)) if comparison.before_seed else []

    def log_before(backbone_and_seed: tuple[str, int]) -> Path:
        backbone, seed = backbone_and_seed
        return comparison.folder(backbone) / f"before-seed{seed}.log"

    def prepare(backbone_and_seed: tuple[str, int]) -> None:
        log = log_before(backbone_and_seed)
        log.parent.mkdir(parents=True, exist_ok=True)
        run_or_raise(launch, before_seed_command(comparison, *backbone_and_seed), log, environment)

    def train(plan: PlannedRun) -> None:
        # What an interrupted run left would mix with what this one writes.
        shutil.rmtree(plan.directory, ignore_errors=True)
        plan.directory.mkdir(parents=True)
        run_or_raise(launch, fit_command(plan, comparison), plan.directory / LOG, environment)
        read_planned(plan, comparison)
        write_stamp(plan, comparison)

    unprepared = in_parallel(prepare, first, jobs, "before the runs")
    failed = {
        plan: Failure("before_seed failed", log_before((plan.backbone, plan.seed)))
        for plan in missing
        if (plan.backbone, plan.seed) in unprepared
    }
    broken = in_parallel(train, [plan for plan in missing if plan not in failed], jobs, "runs")
    return failed | {plan: Failure("the run failed", plan.directory / LOG) for plan in broken}


def thread_environment(jobs: int) -> dict[str, str]:
    """Environment variables that keep `jobs` processes from competing for the cores."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


def run_or_raise(launch: Launch, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
    """Runs a command with a log of its own, which stderr names.

    Raises CommandError with the log's last lines when the command fails.
    """
    log.write_text("", encoding="utf-8")
    say(f"begins: {log}")
    status = launch(command, log, environment)
    if status != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
        shown = "\n".join(f"  {line}" for line in lines)
        ended = f"failed with status {status}" if status > 0 else f"was killed by signal {-status}"
        raise CommandError(f"command {ended}: {' '.join(command)}\n{shown}\nwhole log: {log}")


def in_parallel(
    work: Callable[[Item], None], items: Sequence[Item], jobs: int, description: str
) -> dict[Item, UserError]:
    """Does the work on all items; those that failed with an error of the user's, each reported on stderr at once.

    Any other exception keeps further items from starting, and is raised at the end.
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
