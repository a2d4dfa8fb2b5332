"""Runs that were trained and tested, read back for comparison."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaze_vlm.errors import InputError
from gaze_vlm.json_files import member, parse_object, shown
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.runs.prediction import Prediction, read_predictions

METRICS = tuple(name for name, score in SCORES.items() if score.group is not None)

COST = ("train_seconds", "trainable_parameters", "parameters", "processes", "device")
"""Keys of run.json on what the training cost."""
COST_TYPES = {name: int | None for name in (*COST, "resumes")} | {
    "train_seconds": float | None,
    "device": str | None,
}


@dataclass(frozen=True)
class Run:
    """One trained arm, tested on `dataset`, mostly the one it was `trained_on`.

    `weight` is λ of the regularizer and `floor` its ε; None where the arm has none. `sees_gaze_at_test`: the model is
    given gaze as an input. What the training cost is None of
    runs of before it was recorded.
    """

    directory: RunDirectory
    arm: str
    seed: int
    backbone: str
    dataset: str
    trained_on: str
    weight: float | None
    floor: float | None
    train_clips: int
    predictions: tuple[Prediction, ...]
    sees_gaze_at_test: bool = False
    train_seconds: float | None = None
    trainable_parameters: int | None = None
    parameters: int | None = None
    processes: int | None = None
    device: str | None = None
    resumes: int | None = None


def read_run(path: Path) -> Run:
    """Read a run directory.

    Raises:
        InputError: a file is missing, cut short or lacks a key, the training did not finish, or the test was limited.
    """
    directory = RunDirectory(path)
    if directory.missing:
        raise InputError(f"{directory.missing[0]} is missing: the run did not finish, train and test it again")
    if not directory.is_trained:
        raise InputError(f"{directory}: its training is {directory.state}: train and test it again")
    facts = _object(directory.facts)
    try:
        return Run(
            directory=directory,
            arm=member(facts, "arm", str),
            seed=member(facts, "seed", int),
            backbone=member(facts, "backbone", str),
            dataset=member(facts, "dataset", str),
            trained_on=member(facts, "dataset", str),
            weight=member(facts, "lambda", float | None),
            floor=member(facts, "floor", float | None),
            train_clips=member(facts, "train_clips", int),
            predictions=read_tested(directory),
            sees_gaze_at_test=member({"sees_gaze_at_test": False} | facts, "sees_gaze_at_test", bool),
            **{name: member({name: None} | facts, name, kind) for name, kind in COST_TYPES.items()},
        )
    except KeyError as error:
        raise InputError(f"{directory.facts} has no key {error}: test the run again") from error
    except TypeError as error:
        raise InputError(f"{directory.facts} is damaged ({error}): test the run again") from error


def read_tested(directory: RunDirectory) -> tuple[Prediction, ...]:
    """Read the predictions of a whole test.

    Raises:
        InputError: metrics.json says that the test left samples out, or a line cannot be read.
    """
    limited = _object(directory.scores).get("limited")
    if limited is not None:
        limited = limited if isinstance(limited, dict) else {}
        samples, of = (shown(limited.get(name)) for name in ("samples", "of"))
        raise InputError(
            f"{directory.scores} is of a limited test, {samples} of {of} samples: "
            "test the run again without --trainer.limit_test_batches"
        )
    return read_predictions(directory.predictions)


def by_arm(runs: Iterable[Run]) -> dict[str, dict[int, Run]]:
    """Group runs by arm, then by seed, in the order given.

    Raises:
        InputError: two runs are of the same arm and seed: which of them counts?
    """
    arms: dict[str, dict[int, Run]] = {}
    for run in runs:
        seeds = arms.setdefault(run.arm, {})
        if run.seed in seeds:
            raise InputError(
                f"{seeds[run.seed].directory} and {run.directory} both are {run.arm!r}, seed {run.seed}: move one away"
            )
        seeds[run.seed] = run
    return arms


def check_same_clips(runs: Iterable[Run]) -> None:
    """Check that all runs were tested on the clips that the first run was tested on.

    Raises:
        InputError: naming the run that was not.
    """
    first: Run | None = None
    for run in runs:
        first = first or run
        clips, expected = _clips(run), _clips(first)
        if clips != expected:
            raise InputError(
                f"{run.directory.predictions} lacks {len(expected - clips)} of the {len(expected)} "
                f"answers in {first.directory}, has {len(clips - expected)} others: test both on the same store"
            )


def _clips(run: Run) -> set[tuple[object, ...]]:
    """With all that the store says of them: clips of one name may be others where it was prepared again."""
    return {
        (one.task, one.clip_id, one.session, one.target, one.same_action, one.future_starts_in_s)
        for one in run.predictions
    }


def _object(file: Path) -> dict[str, Any]:
    return parse_object(file.read_bytes(), file, "test the run again")
