"""Trains and tests what a comparison still lacks: one subprocess a step, several runs at a time."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.runs import FILES, read_run
from gaze_vlm.composition import configs_of
from gaze_vlm.errors import CommandError, InputError
from gaze_vlm.json_files import read_json
from gaze_vlm.progress import say, track
from gaze_vlm.run_state import is_finished

LOG = "log.txt"
STAMP = "compare.json"
SHOWN_LINES = 20

Launch = Callable[[list[str], Path, Mapping[str, str]], int]
"""Runs a command with more environment variables, appends its output to a log file; the exit status."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Plan:
    """One run that the comparison needs, and where its directory is."""

    backbone: str
    arm: str
    seed: int
    train_clips: int
    directory: Path


def plans(comparison: Comparison, seeds: Sequence[int]) -> list[Plan]:
    """Every run of the comparison: seed by seed, so that an interrupted comparison holds whole seeds."""
    made = []
    for seed, backbone in product(seeds, comparison.backbone_names):
        for arm, sizes in comparison.sizes.items():
            for train_clips in sizes:
                name = arm if train_clips == comparison.train_clips else f"{arm}-{train_clips}"
                made.append(Plan(backbone, arm, seed, train_clips, comparison.folder(backbone) / name / f"seed{seed}"))
    return made


def fit_command(plan: Plan, comparison: Comparison) -> list[str]:
    """The command line that trains a run and tests its best checkpoint: the only place that knows the CLI."""
    program = [sys.executable, "-m", "gaze_vlm"]
    configs = [f"--config={path}" for path in comparison.files(plan.backbone, plan.arm)]
    values = {"seed": plan.seed, "train_clips": plan.train_clips, "arm": plan.arm, "backbone": plan.backbone}
    overrides = [override.format(**values) for override in comparison.overrides]
    options = [f"--run.dir={plan.directory}", "--run.test_after_fit=true", f"--seed_everything={plan.seed}"]
    options += [f"--run.backbone={plan.backbone}"] if comparison.backbones else []
    return [*program, "fit", *configs, *options, *overrides]


def before_seed_command(comparison: Comparison, backbone: str, seed: int) -> list[str]:
    """The command to run once before the runs of a backbone and seed; empty when there is none."""
    filled = [part.format(seed=seed, backbone=backbone) for part in comparison.before_seed]
    if filled[:1] == ["gaze-vlm"]:
        # This interpreter's package, whichever environment the PATH leads to.
        return [sys.executable, "-m", "gaze_vlm", *filled[1:]]
    return filled


def is_complete(plan: Plan, comparison: Comparison) -> bool:
    """Whether a run directory holds a finished run, so that nothing is left to do.

    A run that `fit` and `test` made by hand counts; one that a comparison began counts once it has its stamp,
    which is written last.

    Raises ValueError when a comparison made the run with other commands or configs, or when the directory is
    neither empty nor a run.
    """
    directory = plan.directory
    if not directory.is_dir() or not any(directory.iterdir()):
        return False
    if (directory / STAMP).is_file():
        stamp = read_json(directory / STAMP, f"move {directory} away to train it again")
        changed = _changed(stamp, _stamp(plan, comparison))
        if changed:
            raise InputError(
                f"{directory} was trained with other settings than now asked for ({', '.join(changed)}): "
                "move it away to train it again, or name another directory for `runs`"
            )
    if (directory / LOG).is_file():
        return (directory / STAMP).is_file() and _is_whole(directory)
    if not _is_whole(directory):
        raise InputError(f"{directory} is not empty and holds no finished run: move it away, or finish that run")
    return True


def train_missing(comparison: Comparison, seeds: Sequence[int], jobs: int, launch: Launch) -> list[Plan]:
    """Trains and tests every run that is not complete; an interrupted one from its beginning.

    Args:
        comparison: what to run.
        seeds: of the runs.
        jobs: runs at a time; each has its share of the cores.
        launch: runs a command, such as `run_command`.

    Returns:
        All runs of the comparison.

    Raises RuntimeError with the last lines of its log when a run fails; runs under way are finished first.
    """
    wanted = plans(comparison, seeds)
    missing = [plan for plan in wanted if not is_complete(plan, comparison)]
    environment = thread_environment(jobs)
    first = list(dict.fromkeys((plan.backbone, plan.seed) for plan in missing)) if comparison.before_seed else []

    def prepare(backbone_and_seed: tuple[str, int]) -> None:
        backbone, seed = backbone_and_seed
        log = comparison.folder(backbone) / f"before-seed{seed}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        must(launch, before_seed_command(comparison, backbone, seed), log, environment)

    def train(plan: Plan) -> None:
        # What an interrupted run left would mix with what this one writes.
        shutil.rmtree(plan.directory, ignore_errors=True)
        plan.directory.mkdir(parents=True)
        log = plan.directory / LOG
        must(launch, fit_command(plan, comparison), log, environment)
        read_run(plan.directory)
        stamp = json.dumps(_stamp(plan, comparison), indent=2, ensure_ascii=False)
        (plan.directory / STAMP).write_text(stamp + "\n", encoding="utf-8")

    in_parallel(prepare, first, jobs, "before the runs")
    in_parallel(train, missing, jobs, "runs")
    return wanted


def run_command(command: list[str], log: Path, environment: Mapping[str, str]) -> int:
    """Runs a command as a subprocess with its output appended to the log; its exit status."""
    with log.open("a", encoding="utf-8") as stream:
        done = subprocess.run(
            command, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, **environment}, check=False
        )
    return done.returncode


def thread_environment(jobs: int) -> dict[str, str]:
    """Environment variables that keep `jobs` processes from competing for the cores."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


def must(launch: Launch, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
    """Runs a command with a log of its own, which stderr names; raises RuntimeError with its last lines on failure."""
    log.write_text("", encoding="utf-8")
    say(f"begins: {log}")
    status = launch(command, log, environment)
    if status != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
        shown = "\n".join(f"  {line}" for line in lines)
        raise CommandError(f"command failed with status {status}: {' '.join(command)}\n{shown}\nwhole log: {log}")


def in_parallel(work: Callable[[Item], None], items: Sequence[Item], jobs: int, description: str) -> None:
    """Does the work on all items; a failure keeps further items from starting, and is raised at the end."""
    pool = ThreadPoolExecutor(max_workers=jobs)
    futures: list[Future[None]] = [pool.submit(work, item) for item in items]
    try:
        for future in track(as_completed(futures), description, total=len(futures)):
            future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _is_whole(directory: Path) -> bool:
    return all((directory / name).is_file() for name in FILES) and is_finished(directory)


def _stamp(plan: Plan, comparison: Comparison) -> dict[str, str]:
    """What a run depends on: its command (without the interpreter) and the content of its configs."""
    parts = {"command": " ".join(fit_command(plan, comparison)[3:])}
    files = comparison.files(plan.backbone, plan.arm)
    for path in [part for file in files for part in configs_of(file)]:
        parts[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return parts


def _changed(old: dict[str, str], new: dict[str, str]) -> list[str]:
    return [key for key in dict.fromkeys([*new, *old]) if old.get(key) != new.get(key)]
