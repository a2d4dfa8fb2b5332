"""The state of a run directory: empty, running, finished, interrupted or failed. `fit` writes it; others read it."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from gaze_vlm.errors import InputError

State = Literal["empty", "running", "finished", "interrupted", "failed", "unknown"]
STATE = "state.json"
RESULTS = ("run.json", "metrics.json", "predictions.jsonl", "answers.jsonl", "validation", "also")
TRAINING = (STATE, "config.yaml", "metrics.csv", "checkpoints", "validate.yaml", "test.yaml", "predict.yaml")


def state_of(directory: Path) -> State:
    """Read the state of a run directory; `unknown` of a run that was made before there were states.

    Raises:
        InputError: the state cannot be read.
    """
    file = directory / STATE
    if not file.is_file():
        return "unknown" if any((directory / name).exists() for name in (*TRAINING, *RESULTS)) else "empty"
    try:
        state: State = json.loads(file.read_text(encoding="utf-8"))["state"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is damaged: train the run again with --run.overwrite=true") from error
    return state


def is_finished(directory: Path) -> bool:
    """Whether the training of a run directory came to its end, or was made before there were states."""
    return state_of(directory) in ("finished", "unknown")


@contextmanager
def training_in(directory: Path, resumes: bool, overwrite: bool) -> Iterator[None]:
    """Take a run directory for a training, and keep its state. Only the first process does.

    A training that resumes keeps what was logged and saved. It drops the results of tests: they were of other weights.

    Raises:
        InputError: the directory holds a run, and the training neither resumes it nor is to overwrite it.
    """
    if getattr(rank_zero_only, "rank", 0) != 0:
        yield
        return
    state = state_of(directory)
    nothing_made = state == "failed" and not (directory / "checkpoints").exists()  # it failed as it began
    if state != "empty" and not (resumes or overwrite or nothing_made):
        raise InputError(
            f"{directory} holds a run ({state}): name another with --run.dir, resume it with --ckpt_path last, or "
            "delete it with --run.overwrite=true"
        )
    write_state(directory, "running")
    if state != "empty":
        clear(directory, RESULTS if resumes else (*RESULTS, *TRAINING[1:]))
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        write_state(directory, "interrupted")
        raise
    except BaseException:
        write_state(directory, "failed")
        raise
    write_state(directory, "finished")


def write_state(directory: Path, state: State) -> None:
    """Write the state, whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    aside = directory / f".{STATE}.partial"
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps({"state": state}) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(directory / STATE)


def clear(directory: Path, names: tuple[str, ...]) -> None:
    """Delete a run's own files, and nothing else that lies there."""
    for name in names:
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
