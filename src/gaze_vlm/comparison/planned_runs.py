"""The runs that a comparison needs: their commands, and which of them are there."""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from gaze_vlm.command_line.composition import configs_of
from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.runs import FILES, Run, read_run
from gaze_vlm.errors import InputError
from gaze_vlm.json_files import read_json
from gaze_vlm.training.run_state import is_finished

LOG = "log.txt"
STAMP = "compare.json"


@dataclass(frozen=True)
class PlannedRun:
    """One run that the comparison needs, and where its directory is."""

    backbone: str
    arm: str
    seed: int
    train_clips: int
    directory: Path

    def __str__(self) -> str:
        return str(self.directory)


def planned_runs(comparison: Comparison, seeds: Sequence[int]) -> list[PlannedRun]:
    """Every run of the comparison: seed by seed, so that an interrupted comparison holds whole seeds."""
    made = []
    for seed, backbone in product(seeds, comparison.backbone_names):
        for arm, sizes in comparison.sizes.items():
            for train_clips in sizes:
                name = arm if train_clips == comparison.train_clips else f"{arm}-{train_clips}"
                made.append(
                    PlannedRun(backbone, arm, seed, train_clips, comparison.folder(backbone) / name / f"seed{seed}")
                )
    return made


def fit_command(plan: PlannedRun, comparison: Comparison) -> list[str]:
    """The command line that trains a run and tests its best checkpoint: the only place that knows the CLI."""
    return [sys.executable, "-m", "gaze_vlm", "fit", *fit_options(plan, comparison)]


def fit_options(plan: PlannedRun, comparison: Comparison) -> list[str]:
    """The options of `fit` that a run is given."""
    configs = [f"--config={path}" for path in comparison.files(plan.backbone, plan.arm)]
    values = {"seed": plan.seed, "train_clips": plan.train_clips, "arm": plan.arm, "backbone": plan.backbone}
    overrides = [override.format(**values) for override in comparison.overrides]
    options = [f"--run.dir={plan.directory}", "--run.test_after_fit=true", f"--seed_everything={plan.seed}"]
    options += [f"--run.backbone={plan.backbone}"] if comparison.backbones else []
    return [*configs, *options, *overrides]


def before_seed_command(comparison: Comparison, backbone: str, seed: int) -> list[str]:
    """The command to run once before the runs of a backbone and seed; empty when there is none."""
    filled = [part.format(seed=seed, backbone=backbone) for part in comparison.before_seed]
    if filled[:1] == ["gaze-vlm"]:
        # This interpreter's package, whichever environment the PATH leads to.
        return [sys.executable, "-m", "gaze_vlm", *filled[1:]]
    return filled


def is_complete(plan: PlannedRun, comparison: Comparison) -> bool:
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


def write_stamp(plan: PlannedRun, comparison: Comparison) -> None:
    """Marks a run as finished, and notes what it depends on."""
    stamp = json.dumps(_stamp(plan, comparison), indent=2, ensure_ascii=False)
    (plan.directory / STAMP).write_text(stamp + "\n", encoding="utf-8")


def read_planned(plan: PlannedRun, comparison: Comparison) -> Run:
    """Reads a finished run.

    Raises ValueError when it is not the run that the comparison asks for.
    """
    run = read_run(plan.directory)
    wanted = {
        "arm": (run.arm, plan.arm),
        "seed": (run.seed, plan.seed),
        "train_clips": (run.train_clips, plan.train_clips),
        "dataset": (run.dataset, comparison.dataset),
        "backbone": (run.backbone, plan.backbone),
    }
    for key, (found, asked) in wanted.items():
        if found != asked:
            raise InputError(
                f"{run.path / 'run.json'}: {key} is {found!r}, the comparison asks for {asked!r}: "
                "fix the comparison's config, or move the run away"
            )
    return run


def _is_whole(directory: Path) -> bool:
    return all((directory / name).is_file() for name in FILES) and is_finished(directory)


def _stamp(plan: PlannedRun, comparison: Comparison) -> dict[str, str]:
    """What a run depends on: its command (without the interpreter) and the content of its configs."""
    parts = {"command": " ".join(fit_command(plan, comparison)[3:])}
    files = comparison.files(plan.backbone, plan.arm)
    for path in [part for file in files for part in configs_of(file)]:
        parts[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return parts


def _changed(old: dict[str, str], new: dict[str, str]) -> list[str]:
    return [key for key in dict.fromkeys([*new, *old]) if old.get(key) != new.get(key)]
