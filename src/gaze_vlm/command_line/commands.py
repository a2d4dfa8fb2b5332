"""Command lines that this package starts or prints."""

import shlex
import sys
from collections.abc import Sequence

from gaze_vlm.command_line.class_paths import OPTION, allowed_packages
from gaze_vlm.command_line.examples import TRAINING
from gaze_vlm.output import kept
from gaze_vlm.runs.directory import RunDirectory

PROGRAM = (sys.executable, "-m", "gaze_vlm")
"""The package of this very interpreter, whichever environment the PATH leads to."""


def run_options(run: RunDirectory, seed: int, backbone: str | None) -> list[str]:
    """Return options of `fit` that train a run and test its best checkpoint."""
    options = [f"--run.dir={run}", "--run.test_after_fit=true", f"--seed_everything={seed}"]
    return options + ([] if backbone is None else [f"--run.backbone={backbone}"])


def testing_arguments(run: RunDirectory, store: object, output: RunDirectory, dataset: str) -> list[str]:
    """Return arguments that test a run on another data set.

    They are the run's own configuration, but for the store.
    """
    return [
        "test",
        f"--config={run.config}",
        f"--ckpt_path={run.best}",
        f"--data.store={store}",
        f"--run.dir={output}",
        f"--run.dataset={dataset}",
    ]


def resume_command(run: RunDirectory) -> str:
    """Return the command line that resumes a training."""
    words = ["lightning", "fit", "--config", str(run.config), "--ckpt_path", "last"]
    allowed = [OPTION, ",".join(allowed_packages())] if allowed_packages() else []
    return shlex.join([*words, *allowed])


def how_to_resume(run: RunDirectory) -> str:
    """Say how a training goes on that was stopped or failed."""
    return f"resume with: {resume_command(run)}" if kept(run.last).exists() else "too early to resume: begin anew"


def as_typed(command: Sequence[str]) -> str:
    """Return a command as a user types it: what `this_package` undoes."""
    ours = tuple(command[: len(PROGRAM)]) == PROGRAM
    return shlex.join(["gaze-vlm", *command[len(PROGRAM) :]] if ours else command)


def this_package(command: Sequence[str]) -> list[str]:
    """Return a command in which `gaze-vlm` is the package of this interpreter."""
    return [*PROGRAM, *command[1:]] if command[:1] == ["gaze-vlm"] else list(command)


def shares_its_work(command: Sequence[str]) -> bool:
    """Return whether processes that run this command together share its work, as those of a training do."""
    return tuple(command[: len(PROGRAM)]) == PROGRAM and command[len(PROGRAM)] in TRAINING
