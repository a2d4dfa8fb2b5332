"""The runs that a comparison needs: their jobs, and which of them are done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path

from gaze_vlm.command_line.commands import PROGRAM, as_typed, run_options, this_package
from gaze_vlm.command_line.composition import configs_of, read_yaml
from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.runs import Run, read_run
from gaze_vlm.errors import InputError
from gaze_vlm.home import home_path
from gaze_vlm.output import kept
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.processes.jobs import Job, Launch, in_parallel, run_or_raise, thread_environment
from gaze_vlm.runs.directory import RunDirectory


@dataclass(frozen=True)
class PlannedRun:
    """One run that the comparison needs, and where its directory is."""

    dataset: str
    backbone: str
    arm: str
    seed: int
    train_clips: int | None
    directory: RunDirectory = field(compare=False)

    def __str__(self) -> str:
        return str(self.directory)


Step = PlannedRun | tuple[str, ...]
"""A run, or a command before runs."""


def planned_runs(comparison: Comparison, seeds: Sequence[int]) -> list[PlannedRun]:
    """List every run of the comparison.

    They come seed by seed, so that an interrupted comparison holds whole seeds.
    """
    made = []
    for seed, dataset, backbone in product(seeds, comparison.dataset_names, comparison.backbone_names):
        for arm, sizes in comparison.sizes.items():
            for train_clips in sizes:
                name = arm if train_clips == comparison.train_clips else f"{arm}-{train_clips}"
                directory = RunDirectory(comparison.folder(dataset, backbone) / name / f"seed{seed}")
                made.append(PlannedRun(dataset, backbone, arm, seed, train_clips, directory))
    return made


def fit_options(run: PlannedRun, comparison: Comparison) -> list[str]:
    """Return the options of `fit` that train a run and test its best checkpoint."""
    configs = [f"--config={path}" for path in comparison.files(run.dataset, run.backbone, run.arm)]
    overrides = [override.format(**_named(run)) for override in comparison.overrides]
    if run.train_clips is not None and not any("{train_clips}" in override for override in comparison.overrides):
        overrides.append(f"--data.train_clips={run.train_clips}")
    own = run_options(run.directory, run.seed, run.backbone if comparison.backbones else None)
    if len(comparison.arm_files(run.arm)) > 1:  # each has a name of its own
        own.append(f"--run.arm={run.arm}")
    return [*configs, *own, *overrides, *comparison.data_options(run.dataset)]


def job_of(run: PlannedRun, comparison: Comparison, anew: bool = False) -> Job:
    """Return the job that trains and tests a run.

    It depends on the content of all its configs, on its data and on the command before it. It resumes an interrupted
    training, unless `anew`.
    """
    configs = [part for file in comparison.files(run.dataset, run.backbone, run.arm) for part in configs_of(file)]
    fit = ["fit", *fit_options(run, comparison)]
    return Job(
        command=fit,
        directory=run.directory,
        inputs=[*configs, *_data_files(configs, fit)],
        check=lambda: read_planned(run, comparison),
        rest=lambda: _rest(run.directory, fit, anew),
        settings={"before_seed": " ".join(before_seed_command(comparison, run))} if comparison.before_seed else {},
    )


def _data_files(configs: Sequence[Path], fit: Sequence[str]) -> list[Path]:
    """The files of its data that a run depends on, and that are there: of the store, and of targets and objects."""
    data: dict[str, object] = {}
    for config in configs:
        data |= read_yaml(config).get("data") or {}
    data |= dict(option.removeprefix("--data.").partition("=")[::2] for option in fit if option.startswith("--data."))
    named = {key: home_path(str(data[key])) for key in ("store", "targets", "objects") if data.get(key)}
    store = named.pop("store", None)
    files = [*(StoreFiles(store).of_training if store else ()), *named.values()]
    return [file for file in files if file.is_file()]


def _rest(directory: RunDirectory, fit: Sequence[str], anew: bool = False) -> list[str]:
    """The command that ends an interrupted run as if it had not been interrupted; nothing where it must begin anew.

    One that failed begins anew, and one that was not saved yet.
    """
    if directory.state == "finished" and kept(directory.best).exists():
        return ["test", f"--config={directory.config}", "--ckpt_path=best"]
    if not anew and directory.state in ("running", "interrupted") and kept(directory.last).exists():
        return [*fit, "--ckpt_path=last"]
    return []


def resumed(command: list[str]) -> list[str]:
    """Return the command that ends what a stopped one began; one that is not `fit` begins anew."""
    given = [word.removeprefix("--run.dir=") for word in command if word.startswith("--run.dir=")]
    if "fit" not in command or not given:
        return command
    fit = [word for word in command[len(PROGRAM) :] if word not in ("--ckpt_path=last", "--run.overwrite=true")]
    return [*PROGRAM, *(_rest(RunDirectory(Path(given[-1])), fit) or [*fit, "--run.overwrite=true"])]


def before_seed_command(comparison: Comparison, run: PlannedRun) -> tuple[str, ...]:
    """Return the command to run before a run's data set, backbone and seed; empty for none."""
    return tuple(this_package([part.format(**_named(run)) for part in comparison.before_seed]))


def _named(run: PlannedRun) -> dict[str, object]:
    """What is filled in for the names in braces."""
    return {
        "seed": run.seed,
        "train_clips": "null" if run.train_clips is None else run.train_clips,
        "arm": run.arm,
        "backbone": run.backbone,
        "dataset": run.dataset,
    }


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
    if directory.log.is_file() or directory.begun.is_file():
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
        ("dataset", run.dataset),
        ("backbone", run.backbone),
    ):
        if asked is not None and getattr(read, key) != asked:
            raise InputError(
                f"{run.directory.facts}: {key} is {getattr(read, key)!r}, the comparison asks for {asked!r}: "
                "fix the comparison's config, or move the run away"
            )
    return read


def _commands_before(comparison: Comparison, missing: Sequence[PlannedRun]) -> dict[PlannedRun, tuple[str, ...]]:
    """The command that each run waits for; none where there is none."""
    return {run: before_seed_command(comparison, run) for run in missing if comparison.before_seed}


def _in_order(missing: Sequence[PlannedRun], commands: Mapping[PlannedRun, tuple[str, ...]]) -> list[Step]:
    """Runs behind the command that they wait for and the one of the next runs, so that these need not wait for it."""
    waiting: dict[tuple[str, ...], list[PlannedRun]] = {}
    for run in missing:
        waiting.setdefault(commands.get(run, ()), []).append(run)
    before = filter(None, waiting)
    steps: list[Step] = [*islice(before, 1)]
    for runs in waiting.values():
        steps += [*islice(before, 1), *runs]
    return steps


def commands_of(comparison: Comparison, missing: Sequence[PlannedRun]) -> list[str]:
    """Return the command lines that train and test runs, in the order in which they begin."""
    steps = _in_order(missing, _commands_before(comparison, missing))
    return [
        as_typed([*PROGRAM, "fit", *fit_options(step, comparison)] if isinstance(step, PlannedRun) else [*step])
        for step in steps
    ]


def train_missing(
    comparison: Comparison, missing: Sequence[PlannedRun], jobs: int, launch: Launch, anew: bool = False
) -> dict[PlannedRun, str]:
    """Train and test runs.

    One that fails does not keep the others from their end.

    Args:
        comparison: what they belong to.
        missing: the runs.
        jobs: runs at a time; each has its share of the cores.
        launch: runs a command, such as `Subprocesses`.
        anew: train interrupted runs from their start.

    Returns:
        The runs that failed, or whose `before_seed` command did, with the reason, which names the log.
    """
    environment = thread_environment(jobs)
    commands = _commands_before(comparison, missing)
    logs = {
        command: comparison.folder(run.dataset, run.backbone) / f"before-seed{run.seed}.log"
        for run, command in reversed(commands.items())  # each once, with the log of the first run
    }

    def do(step: Step) -> None:
        if isinstance(step, PlannedRun):
            job_of(step, comparison, anew).run(launch, environment)
        else:
            run_or_raise(launch, list(step), logs[step], environment)

    after: dict[Step, Step] = {run: command for run, command in commands.items()}
    description = "runs and what goes before" if commands else "runs"
    failed = in_parallel(do, _in_order(missing, commands), jobs, description, after)
    return {
        run: f"before_seed failed, {logs[commands[run]]}"
        if commands.get(run) in failed
        else f"the run failed, {run.directory.log}"
        for run in missing
        if run in failed
    }
