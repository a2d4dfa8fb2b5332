"""Check of the scores by which callbacks stop a training or keep weights."""

from collections.abc import Iterable, Iterator
from typing import Any

from gaze_vlm.datamodules.clip import Task
from gaze_vlm.metrics.scores import SCORES, label_scores
from gaze_vlm.suggestions import did_you_mean
from gaze_vlm.training.checks.problem import Problem, Training

OF_TRAINING = [f"train/{name}" for name in ("cross_entropy", "divergence", "lambda", "valid_frames", "gradient_ratio")]
CHOICES = ", ".join(["validation/score", "validation/TASK/SCORE (docs/scores.md)", *OF_TRAINING])


def monitored_scores(training: Training) -> Iterable[Problem]:
    """Check that callbacks such as EarlyStopping monitor what is logged: they fail at the first validation else."""
    callbacks = [one for one in training.callbacks if hasattr(one, "get")]
    monitors = [(one["class_path"], monitor) for one in callbacks if (monitor := _monitor(one)) is not None]
    possible = _possible(training) if monitors else {}
    known = [name for name, missing in possible.items() if missing is None]
    for callback, monitor in monitors:
        if monitor not in known:
            yield Problem(
                f"{callback} monitors {monitor!r}, which is not logged{possible.get(monitor, '')}: choose one of "
                f"{CHOICES}{did_you_mean(monitor, known)}"
            )


def _monitor(callback: Any) -> str | None:
    return (callback.get("init_args") or {}).get("monitor")  # type: ignore[no-any-return]


def _possible(training: Training) -> dict[str, str | None]:
    """All that may be logged, and why it is not, where that is known."""
    of_tasks = {(task, name): why for task in training.data.tasks for name, why in _scores(training, task)}
    of_validation = {f"validation/{task}/{name}": why for (task, name), why in of_tasks.items()}
    return {"validation/score": None, **dict.fromkeys(OF_TRAINING), **of_validation}


def _scores(training: Training, task: Task) -> Iterator[tuple[str, str | None]]:
    """Yield each score, and why a validation of the task lacks it, where it does."""
    options = training.module.backbone.options
    attends = options.block is not None or bool(options.vit_layers or options.language_layers)
    labelled = _labelled(training, task)
    for name, score in SCORES.items():
        if score.group == "attention" and not attends:
            yield name, " (no attention is captured: the backbone has no block and no layers)"
        elif score.group == "labels" and labelled is not None and name not in labelled:
            yield name, " (no clip of the validation has the labels that it needs)"
        else:
            yield name, None


def _labelled(training: Training, task: Task) -> set[str] | None:
    """Scores that the target texts themselves have by the clips' labels; None where the store cannot be used."""
    dataset = training.data.datasets.get("validation")
    if dataset is None:
        return None
    found: set[str] = set()
    labels = training.data.labels
    for record in dataset.records:
        verb, noun = record.labels(task)
        found |= label_scores(record.text(task), verb, noun, record.nouns, labels).keys()
    return found
