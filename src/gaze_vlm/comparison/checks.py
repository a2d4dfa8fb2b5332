"""What a comparison would fail of, found before its first run begins: hours may lie between that and the last."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from gaze_vlm.comparison.choice import store_of
from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.contamination import contamination
from gaze_vlm.comparison.planned_runs import PlannedRun, before_seed_command, fit_options
from gaze_vlm.comparison.published import read_published
from gaze_vlm.errors import InputError, UserError
from gaze_vlm.progress import say
from gaze_vlm.training.checks import CONFIGURATION, Problem, Training, problems
from gaze_vlm.training.configured import ConfiguredTraining, configure


def refuse_failing_runs(comparison: Comparison, missing: Sequence[PlannedRun]) -> None:
    """Run the checks of `fit` on each run; warn of what is doubtful on stderr.

    The model of a checkpoint that `before_seed` has yet to make is left to `fit`.

    Raises:
        InputError: runs would fail, one line a reason; or the published figures cannot be read.
    """
    if comparison.published is not None:
        read_published(comparison.published)
    found: dict[Problem, list[PlannedRun]] = {}
    seen: set[tuple[str, ...]] = set()
    with _seeds_unsaid():
        for run in missing:
            for problem in _problems(run, comparison, seen):
                found.setdefault(problem, []).append(run)
    for problem, runs in found.items():
        if not problem.fatal:
            say(f"{_named(runs)}: {problem.text}")
    reasons = [f"  {_named(runs)}: {problem.text}" for problem, runs in found.items() if problem.fatal]
    if reasons:
        raise InputError("\n".join(["no run was started, because some would fail", *reasons]))


def _problems(run: PlannedRun, comparison: Comparison, seen: set[tuple[str, ...]]) -> Iterator[Problem]:
    """Problems of one run, but for those of a model or data that were `seen` with another."""
    command = before_seed_command(comparison, run)
    if command and shutil.which(command[0]) is None:
        yield Problem(f"before_seed: there is no command {command[0]!r}: correct its name")
    try:
        configured = configure(fit_options(run, comparison))
    except UserError as error:
        yield Problem(str(error))
        return
    yield from _other_than_asked(run, comparison, configured)
    checkpoint = configured.model.backbone.options.checkpoint
    model = (run.dataset, run.backbone, run.arm, checkpoint)
    data = (run.dataset, run.backbone, run.arm, "data", str(run.train_clips))
    is_there, outputs = Path(checkpoint).exists(), _outputs(command)
    if model not in seen and (is_there or Path(checkpoint) not in outputs):
        found, built = problems(_anew(configured))
        if not built and comparison.before_seed and not is_there:
            if comparison.before_seed[0] == "gaze-vlm" and outputs:
                yield Problem(f"no model in {checkpoint}, and before_seed makes {outputs[-1]}: give both the same path")
            found = _of_configuration(configured)
    else:
        found = [] if data in seen else _of_configuration(configured)
    if data not in seen and not any(problem.fatal for problem in found):
        clips = configured.datamodule.clips_in("train")
        if run.train_clips is not None and clips != run.train_clips:
            yield Problem(
                f"it would train on {clips} clips, the comparison says {run.train_clips}: correct train_clips, or take "
                "--data.train_clips out of overrides"
            )
        if not any(problem.fatal for problem in found):
            tests = {name: store_of(path) for name, path in comparison.also_test.items() if name != run.dataset}
            shared = contamination(configured.datamodule.store_path, tests, configured.datamodule.test_split)
            found = [*found, *(Problem(text, fatal) for text, fatal in shared)]
    seen |= {model, data}
    yield from found


def _of_configuration(configured: ConfiguredTraining) -> list[Problem]:
    return [problem for check in CONFIGURATION for problem in check(_anew(configured))]


def _anew(configured: ConfiguredTraining) -> Training:
    """The training as a comparison runs it: what an interrupted one left is deleted."""
    training = configured.training
    return replace(training, run=replace(training.run, overwrite=True))


def _other_than_asked(run: PlannedRun, comparison: Comparison, configured: ConfiguredTraining) -> Iterator[Problem]:
    """What would make a finished run another than the comparison asks for."""
    options = configured.options
    for option, found, asked in (
        ("run.dir", options.dir, run.directory.path),
        ("run.arm", options.arm, run.arm),
        ("run.dataset", options.dataset, run.dataset),
        ("run.backbone", options.backbone, run.backbone),
        ("seed_everything", configured.datamodule.seed, run.seed),
    ):
        if found != asked:
            yield Problem(
                f"{option} would be {str(found)!r}, the comparison says {str(asked)!r}: correct its config, "
                "or that of the run"
            )


def _outputs(command: Sequence[str]) -> list[Path]:
    """What a command is given as `--output`."""
    outputs = [after for part, after in pairwise(command) if part == "--output"]
    outputs += [part.removeprefix("--output=") for part in command if part.startswith("--output=")]
    return [Path(output) for output in outputs]


def _named(runs: Sequence[PlannedRun]) -> str:
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    return f"{runs[0]}{more}"


@contextmanager
def _seeds_unsaid() -> Iterator[None]:
    """Without Lightning's line on the seed, which would come once a run."""
    log = logging.getLogger("lightning.fabric.utilities.seed")
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)
