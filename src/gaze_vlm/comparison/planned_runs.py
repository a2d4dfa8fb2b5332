"""The runs that a comparison needs: their jobs, and which of them are done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from gaze_vlm.command_line.commands import run_options, this_package
from gaze_vlm.command_line.composition import configs_of
from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.jobs import Job, Launch, in_parallel, run_or_raise, thread_environment
from gaze_vlm.comparison.runs import Run, read_run
from gaze_vlm.errors import InputError
from gaze_vlm.runs.directory import RunDirectory


@dataclass(frozen=True)
class PlannedRun:
    """One run that the comparison needs, and where its directory is."""

    backbone: str
    arm: str
    seed: int
    train_clips: int
    directory: RunDirectory = field(compare=False)

    def __str__(self) -> str:
        return str(self.directory)


def planned_runs(comparison: Comparison, seeds: Sequence[int]) -> list[PlannedRun]:
    """List every run of the comparison.

    They come seed by seed, so that an interrupted comparison holds whole seeds.
    """
    made = []
    for seed, backbone in product(seeds, comparison.backbone_names):
        for arm, sizes in comparison.sizes.items():
            for train_clips in sizes:
                name = arm if train_clips == comparison.train_clips else f"{arm}-{train_clips}"
                directory = RunDirectory(comparison.folder(backbone) / name / f"seed{seed}")
                made.append(PlannedRun(backbone, arm, seed, train_clips, directory))
    return made


def fit_options(run: PlannedRun, comparison: Comparison) -> list[str]:
    """Return the options of `fit` that train a run and test its best checkpoint."""
    configs = [f"--config={path}" for path in comparison.files(run.backbone, run.arm)]
    values = {"seed": run.seed, "train_clips": run.train_clips, "arm": run.arm, "backbone": run.backbone}
    overrides = [override.format(**values) for override in comparison.overrides]
    return [*configs, *run_options(run.directory, run.seed, run.backbone if comparison.backbones else None), *overrides]


def job_of(run: PlannedRun, comparison: Comparison) -> Job:
    """Return the job that trains and tests a run.

    It depends on the content of all its configs.
    """
    files = comparison.files(run.backbone, run.arm)
    return Job(
        command=["fit", *fit_options(run, comparison)],
        directory=run.directory,
        inputs=[part for file in files for part in configs_of(file)],
        check=lambda: read_planned(run, comparison),
    )


def before_seed_command(comparison: Comparison, backbone: str, seed: int) -> list[str]:
    """Return the command to run before a backbone and seed; empty for none."""
    return this_package([part.format(seed=seed, backbone=backbone) for part in comparison.before_seed])


def is_complete(run: PlannedRun, comparison: Comparison) -> bool:
    """Return whether a run directory holds a finished run.

    A run that `fit` and `test` made by hand counts. One that a comparison began counts once it has its stamp, which is
    written last.

    Raises:
        InputError: a comparison made the run with other commands or configs, or the directory is neither empty nor a
            run.
    """
    directory = run.directory
    if not directory.path.is_dir() or not any(directory.path.iterdir()):
        return False
    if directory.stamp.is_file():
        changed = job_of(run, comparison).changed(f"move {directory} away to train it again")
        if changed:
            raise InputError(
                f"{directory} was trained with other settings than now asked for ({', '.join(changed)}): "
                "move it away to train it again, or name another directory for `runs`"
            )
    if directory.log.is_file():
        return directory.stamp.is_file() and directory.is_tested
    if not directory.is_tested:
        raise InputError(f"{directory} is not empty and holds no finished run: move it away, or finish that run")
    return True


def read_planned(run: PlannedRun, comparison: Comparison) -> Run:
    """Read a finished run.

    Raises:
        InputError: it is not the run that the comparison asks for.
    """
    read = read_run(run.directory.path)
    for key, asked in (
        ("arm", run.arm),
        ("seed", run.seed),
        ("train_clips", run.train_clips),
        ("dataset", comparison.dataset),
        ("backbone", run.backbone),
    ):
        if getattr(read, key) != asked:
            raise InputError(
                f"{run.directory.facts}: {key} is {getattr(read, key)!r}, the comparison asks for {asked!r}: "
                "fix the comparison's config, or move the run away"
            )
    return read


def train_missing(
    comparison: Comparison, missing: Sequence[PlannedRun], jobs: int, launch: Launch
) -> dict[PlannedRun, str]:
    """Train and test runs, each from its beginning.

    One that fails does not keep the others from their end.

    Args:
        comparison: what they belong to.
        missing: the runs.
        jobs: runs at a time; each has its share of the cores.
        launch: runs a command, such as `Subprocesses`.

    Returns:
        The runs that failed, or whose `before_seed` command did, with the reason, which names the log.
    """
    environment = thread_environment(jobs)
    logs = {
        (run.backbone, run.seed): comparison.folder(run.backbone) / f"before-seed{run.seed}.log"
        for run in missing
        if comparison.before_seed
    }

    def prepare(one: tuple[str, int]) -> None:
        run_or_raise(launch, before_seed_command(comparison, *one), logs[one], environment)

    def train(run: PlannedRun) -> None:
        job_of(run, comparison).run(launch, environment)

    unprepared = in_parallel(prepare, list(logs), jobs, "before the runs")
    failed = {
        run: f"before_seed failed, {logs[run.backbone, run.seed]}"
        for run in missing
        if (run.backbone, run.seed) in unprepared
    }
    broken = in_parallel(train, [run for run in missing if run not in failed], jobs, "runs")
    return failed | {run: f"the run failed, {run.directory.log}" for run in broken}
