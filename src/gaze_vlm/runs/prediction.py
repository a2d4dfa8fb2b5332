"""Predictions: the scored answers of a test, one line each of predictions.jsonl."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from gaze_vlm.errors import InputError
from gaze_vlm.json_files import member, parse_object, shown
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.metrics.semantic import Encoder, semantic_floor
from gaze_vlm.output import write_atomically
from gaze_vlm.preparation.records import Task

if TYPE_CHECKING:  # which imports torch; a reader of predictions need not
    from gaze_vlm.datamodules.clip import Clip

TASKS: tuple[Task, ...] = get_args(Task)
OF_OLDER_VERSIONS: dict[str, Any] = {
    "video_id": "",
    "target_verb": None,
    "target_noun": None,
    "clip_nouns": (),
    "session_end_s": None,
}
"""What their lines lack."""


@dataclass(frozen=True)
class Prediction:
    """The answer to one task on one clip, and its scores.

    `scores` holds those of `SCORES` that the sample has (docs/scores.md). `future_starts_in_s` counts seconds from the
    end of the clip to the start of the future action, 0 or less where that has begun. Clips of one `session` are not
    independent. `target_verb` and `target_noun` are the target's labels, if it has any. `clip_nouns` are the noun
    labels of all that is annotated around the clip. `session_end_s` counts from the session's start to the end of the
    clip; tests of older versions lack it.
    """

    clip_id: str
    video_id: str
    session: str
    task: Task
    prediction: str
    target: str
    target_verb: str | None
    target_noun: str | None
    clip_nouns: tuple[str, ...]
    scores: dict[str, float]
    same_action: bool
    future_starts_in_s: float
    session_end_s: float | None = None

    @classmethod
    def of(cls, clip: "Clip", answer: str, scores: dict[str, float]) -> "Prediction":
        """Make the prediction of a clip's answer."""
        return cls(
            clip_id=clip.clip_id,
            video_id=clip.video_id,
            session=clip.session,
            task=clip.task,
            prediction=answer,
            target=clip.target,
            target_verb=clip.verb,
            target_noun=clip.noun,
            clip_nouns=clip.nouns,
            scores=scores,
            same_action=clip.same_action,
            future_starts_in_s=clip.future_starts_in_s,
            session_end_s=clip.session_end_s,
        )

    def row(self) -> dict[str, Any]:
        """Return the values of a line of predictions.jsonl."""
        return {
            "clip_id": self.clip_id,
            "video_id": self.video_id,
            "session": self.session,
            "task": self.task,
            "prediction": self.prediction,
            "target": self.target,
            "target_verb": self.target_verb,
            "target_noun": self.target_noun,
            "clip_nouns": self.clip_nouns,
            **self.scores,
            "attention_kl": self.scores.get("attention_kl"),
            "same_step": self.same_action,
            "future_starts_in_s": self.future_starts_in_s,
            "session_end_s": self.session_end_s,
        }


def read_predictions(file: Path) -> tuple[Prediction, ...]:
    """Read all lines of predictions.jsonl.

    Raises:
        InputError: a line is damaged, lacks a key or answers twice, or there is none.
    """
    predictions: dict[tuple[str, str], Prediction] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        where = f"{file}:{number}"
        one = _prediction(where, parse_object(line, where, "test the run again"))
        if (one.task, one.clip_id) in predictions:
            raise InputError(f"{where} is a second {one.task} answer for clip {one.clip_id}: test the run again")
        predictions[one.task, one.clip_id] = one
    if not predictions:
        raise InputError(f"{file} is empty: the test did not finish, test the run again")
    return tuple(predictions.values())


def write_lines(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON Lines, all or nothing."""
    write_atomically(file, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def with_semantic_floor(predictions: Sequence[Prediction], encoder: Encoder) -> list[Prediction]:
    """Add `semantic_floor` to all predictions of a test.

    They have to be there all, in the same order in every arm.
    """
    scored = {}
    for task in dict.fromkeys(one.task for one in predictions):
        of_task = [one for one in predictions if one.task == task]
        floor = semantic_floor([one.prediction for one in of_task], [one.target for one in of_task], encoder)
        for one, value in zip(of_task, floor.tolist(), strict=True):
            added = {} if isnan(value) else {"semantic_floor": value}
            scored[one.clip_id, task] = replace(one, scores=one.scores | added)
    return [scored[one.clip_id, one.task] for one in predictions]


def mean_scores(predictions: Sequence[Prediction]) -> dict[str, dict[str, float]]:
    """Average every score of each task over the predictions that have it.

    Each is weighed by its `weight`. `clips` counts the predictions. Where only some predictions have a score, their
    number is `<score>_clips`.
    """
    means: dict[str, dict[str, float]] = {}
    for task in dict.fromkeys(one.task for one in predictions):
        of_task = [one for one in predictions if one.task == task]
        means[task] = {"clips": float(len(of_task))}
        for name, score in SCORES.items():
            having = [one.scores for one in of_task if name in one.scores]
            weights = [1.0 if score.weight is None else scores[score.weight] for scores in having]
            if having:
                weighed = (weight * scores[name] for weight, scores in zip(weights, having, strict=True))
                means[task][name] = sum(weighed) / sum(weights)
            if 0 < len(having) < len(of_task):
                means[task][f"{name}_clips"] = float(len(having))
    return means


def _prediction(where: str, given: dict[str, Any]) -> Prediction:
    row = OF_OLDER_VERSIONS | given
    try:
        if row["task"] not in TASKS:
            raise InputError(f"{where}: task {shown(row['task'])} is none of {', '.join(TASKS)}: test the run again")
        return Prediction(
            clip_id=member(row, "clip_id", str),
            video_id=member(row, "video_id", str),
            session=member(row, "session", str),
            task=row["task"],
            prediction=member(row, "prediction", str),
            target=member(row, "target", str),
            target_verb=member(row, "target_verb", str | None),
            target_noun=member(row, "target_noun", str | None),
            clip_nouns=tuple(member(row, "clip_nouns", tuple[str, ...])),
            scores={name: float(member(row, name, float)) for name in row if name in SCORES and row[name] is not None},
            same_action=member(row, "same_step", bool),
            future_starts_in_s=float(member(row, "future_starts_in_s", float)),
            session_end_s=member(row, "session_end_s", float | None),
        )
    except KeyError as error:
        raise InputError(f"{where} has no key {error}: test the run again") from error
    except TypeError as error:
        raise InputError(f"{where} is damaged ({error}): test the run again") from error
