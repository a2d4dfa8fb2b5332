"""Runs: the directories that `fit` and `test` leave, read back for comparison."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaze_vlm.errors import InputError
from gaze_vlm.json_files import parse_json
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.training.run_state import is_finished, state_of

TASKS = ("activity", "future")
METRICS = tuple(name for name in SCORES if name != "cross_entropy")  # which is of training, not of answers
ALSO = "also"
"""Folder of a run directory: tests of the run on other data sets, `<run>/also/<dataset>`."""
FILES = ("config.yaml", "run.json", "metrics.json", "predictions.jsonl")


@dataclass(frozen=True)
class Prediction:
    """One line of predictions.jsonl: the answer to one task on one clip.

    `scores` holds those of `METRICS` that the sample has: text scores in [0, 1], semantic in [-1, 1],
    attention_kl in nats. `future_starts_in_s`: seconds from the end of the clip to the start of the future
    step, 0 or less where that has begun. `session`: what the clip was recorded in; clips of one are not independent.
    `target_verb` and `target_noun` are the target's labels, if it has any.
    """

    clip_id: str
    session: str
    task: str
    prediction: str
    target: str
    scores: dict[str, float]
    same_step: bool
    future_starts_in_s: float
    target_verb: str | None
    target_noun: str | None


@dataclass(frozen=True)
class Run:
    """One trained arm, tested on `dataset`, which is mostly the one it was `trained_on`.

    `weight` is λ of the regularizer and `floor` its ε; None where the arm has none.
    """

    path: Path
    arm: str
    seed: int
    backbone: str
    dataset: str
    trained_on: str
    weight: float | None
    floor: float | None
    train_clips: int
    predictions: tuple[Prediction, ...]

    def of_task(self, task: str) -> list[Prediction]:
        """The predictions of one task."""
        return [prediction for prediction in self.predictions if prediction.task == task]


def read_run(path: Path) -> Run:
    """Reads a run directory.

    Raises ValueError naming the file and the fix when one of `FILES` is missing, cut short or lacks a key, or when
    the test was limited.
    """
    for name in FILES:
        if not (path / name).is_file():
            raise InputError(f"{path / name} is missing: the run did not finish, train and test it again")
    check_whole(path / "metrics.json")
    if not is_finished(path):
        raise InputError(f"{path}: its training is {state_of(path)}: train and test it again")
    about = _object(path / "run.json", (path / "run.json").read_text(encoding="utf-8"))
    try:
        return Run(
            path=path,
            arm=str(about["arm"]),
            seed=int(about["seed"]),
            backbone=str(about["backbone"]),
            dataset=str(about["dataset"]),
            trained_on=str(about["dataset"]),
            weight=_number(about["lambda"]),
            floor=_number(about["floor"]),
            train_clips=int(about["train_clips"]),
            predictions=read_predictions(path / "predictions.jsonl"),
        )
    except KeyError as error:
        raise InputError(f"{path / 'run.json'} has no key {error}: test the run again") from error


def check_whole(metrics: Path) -> None:
    """Raises ValueError where metrics.json says that the test left samples out."""
    limited = _object(metrics, metrics.read_text(encoding="utf-8")).get("limited")
    if limited is not None:
        raise InputError(
            f"{metrics} is of a limited test, {limited['samples']} of {limited['of']} samples: "
            "test the run again without --trainer.limit_test_batches"
        )


def find_runs(root: Path) -> list[Run]:
    """Every run below a directory, in the order of their paths; their tests on other data sets are none.

    Raises ValueError when there is none.
    """
    runs = [read_run(file.parent) for file in sorted(root.rglob("run.json")) if file.parents[1].name != ALSO]
    if not runs:
        raise InputError(f"{root} holds no run (no run.json below it): train one, or name another directory")
    return runs


def by_arm(runs: Iterable[Run]) -> dict[str, dict[int, Run]]:
    """The runs by arm, then by seed, in the order given.

    Raises ValueError when two runs are the same arm and seed: which of them counts?
    """
    arms: dict[str, dict[int, Run]] = {}
    for run in runs:
        seeds = arms.setdefault(run.arm, {})
        if run.seed in seeds:
            raise InputError(
                f"{seeds[run.seed].path} and {run.path} both are {run.arm!r}, seed {run.seed}: move one away"
            )
        seeds[run.seed] = run
    return arms


def check_same_clips(runs: Iterable[Run]) -> None:
    """Raises ValueError naming the run that was not tested on the clips that the first run was tested on."""
    first: Run | None = None
    for run in runs:
        first = first or run
        clips, expected = _clips(run), _clips(first)
        if clips != expected:
            raise InputError(
                f"{run.path / 'predictions.jsonl'} lacks {len(expected - clips)} of the {len(expected)} "
                f"answers in {first.path}, has {len(clips - expected)} others: test both on the same store"
            )


def _clips(run: Run) -> set[tuple[str, str]]:
    return {(prediction.task, prediction.clip_id) for prediction in run.predictions}


def read_predictions(file: Path) -> tuple[Prediction, ...]:
    """All lines of predictions.jsonl.

    Raises ValueError naming the line when one is cut short, lacks a key or answers twice, or when there is none.
    """
    predictions = []
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{file}:{number}"
        prediction = _prediction(where, _object(where, line))
        if (prediction.task, prediction.clip_id) in seen:
            raise InputError(f"{where} is a second {prediction.task} answer for clip {prediction.clip_id}: test again")
        seen.add((prediction.task, prediction.clip_id))
        predictions.append(prediction)
    if not predictions:
        raise InputError(f"{file} is empty: the test did not finish, test the run again")
    return tuple(predictions)


def _prediction(where: str, row: dict[str, Any]) -> Prediction:
    try:
        if row["task"] not in TASKS:
            raise InputError(f"{where}: task {row['task']!r} is none of {', '.join(TASKS)}: test the run again")
        return Prediction(
            clip_id=str(row["clip_id"]),
            session=str(row["session"]),
            task=row["task"],
            prediction=str(row["prediction"]),
            target=str(row["target"]),
            scores={name: float(row[name]) for name in METRICS if row.get(name) is not None},
            same_step=bool(row["same_step"]),
            future_starts_in_s=float(row["future_starts_in_s"]),
            target_verb=row.get("target_verb"),
            target_noun=row.get("target_noun"),
        )
    except KeyError as error:
        raise InputError(f"{where} has no key {error}: test the run again") from error


def _object(where: Path | str, text: str) -> dict[str, Any]:
    value = parse_json(text, where, "test the run again")
    if not isinstance(value, dict):
        raise InputError(f"{where} holds {type(value).__name__}, not a JSON object: test the run again")
    return value


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
