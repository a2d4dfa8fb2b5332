"""The run directory: every file of a run by its name, and the state of its training."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

from gaze_vlm.errors import InputError
from gaze_vlm.json_files import damage_refused, parse_object, shown
from gaze_vlm.output import drafts_of, remove, remove_drafts, used_alone, write_atomically, writing

State = Literal["empty", "running", "finished", "interrupted", "failed", "unknown"]
RETRAIN = "train the run again with --run.overwrite=true"
LOADERS_END_S = 10.0
"""How long the loaders of a killed training may live on: they look for it every 5 seconds."""


class RunDirectory:
    """The files of a run, each written by one command, and the state of its training.

    Args:
        path: the directory, which need not be there yet.
    """

    CONFIGS = ("config.yaml", "validate.yaml", "test.yaml", "predict.yaml")
    """Names of the configurations of `fit`, `validate`, `test` and `predict`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # `fit`
        self.config = path / self.CONFIGS[0]  # the whole configuration of the training
        self.metrics = path / "metrics.csv"  # what was logged, step by step
        self.tensorboard = path / "tensorboard"  # the same as TensorBoard's event files, and what a clock measured
        self.throughput = path / "throughput.csv"  # how fast the steps were, as a clock measured it
        self.logger_ids = path / "loggers.json"  # the runs of W&B and MLflow that it is logged to
        self.state_file = path / "state.json"  # running, finished, interrupted or failed
        self.cost = path / "training.json"  # seconds, parameters, processes and device of the training
        self.checkpoints = path / "checkpoints"
        # Files, or under fsdp2 folders; `kept` finds them where a process was killed that replaced them.
        self.best = self.checkpoints / "best.ckpt"  # trained parameters at the best validation score
        self.last = self.checkpoints / "last.ckpt"  # what a stopped training resumes from
        # `test`
        self.facts = path / "run.json"  # arm, seed, backbone, data set, λ, ε, training clips, and `cost`
        self.scores = path / "metrics.json"  # mean scores of each task; `limited` where samples were left out
        self.predictions = path / "predictions.jsonl"  # one line a sample
        self.alignment = path / "alignment.json"  # how well each head of each layer attends to gaze
        # `validate` and `predict`
        self.validation = path / "validation"  # scores and predictions of the validation clips
        self.answers = path / "answers.jsonl"  # one line a sample, without target and scores
        # `alignment`
        self.tower_alignments = {tower: path / f"alignment_{tower}.json" for tower in ("vision", "language")}
        # `compare`
        self.also = path / "also"  # a run directory for each other data set that the run was tested on
        self.log = path / "log.txt"  # output of the command that made the run
        self.begun = path / "begun.json"  # what the run depends on, until it is finished; then
        self.stamp = path / "compare.json"

    def __str__(self) -> str:
        return str(self.path)

    @property
    def state(self) -> State:
        """Read the state; `unknown` is a run that was made before there were states.

        Raises:
            InputError: the file of the state is damaged.
        """
        if not self.state_file.is_file():
            return "unknown" if any(path.exists() for path in (*self._of_training, *self._results)) else "empty"
        with damage_refused(self.state_file, RETRAIN):
            state: State = parse_object(self.state_file.read_bytes(), self.state_file, RETRAIN)["state"]
            if state not in get_args(State):
                raise TypeError(f"state is {shown(state)}")
        return state

    @property
    def is_trained(self) -> bool:
        """Whether the training came to its end, or was made before there were states."""
        return self.state in ("finished", "unknown")

    @property
    def is_tested(self) -> bool:
        """Whether the training ended and every file of a test is there."""
        return not self.missing and self.is_trained

    @property
    def missing(self) -> list[Path]:
        """Files that a trained and tested run has and this one lacks."""
        return [file for file in (self.config, self.facts, self.scores, self.predictions) if not file.is_file()]

    @contextmanager
    def training(self, resumes: bool, overwrite: bool) -> Iterator[None]:
        """Use the directory for a training, and keep its state.

        One process of a training does so. A training that resumes keeps what was logged and saved. It deletes the
        results of tests of earlier weights.

        Raises:
            InputError: another process trains in it; or see `check_usable`.
            OutputError: it cannot be made.
        """
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with used_alone(self.path, "trained in", LOADERS_END_S):
            self.check_usable(resumes, overwrite)
            with self._stated(resumes):
                yield

    def clear(self) -> None:
        """Delete all that the directory holds.

        Raises:
            InputError: a process trains in it.
        """
        if self.path.is_dir():
            with used_alone(self.path, "trained in", LOADERS_END_S):
                _delete(self.path.iterdir())

    @contextmanager
    def _stated(self, resumes: bool) -> Iterator[None]:
        state = self.state
        self.write_state("running")
        if state != "empty":
            _delete(self._results if resumes else (*self._results, *self._of_training))
            own = (*self._results, *self._of_training, self.state_file)
            _delete(draft for file in own for draft in drafts_of(file))
            remove_drafts(self.checkpoints)
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            self.write_state("interrupted")
            raise
        except BaseException:
            self.write_state("failed")
            raise
        self.write_state("finished")

    def check_usable(self, resumes: bool, overwrite: bool) -> None:
        """Check that a training may use the directory.

        Raises:
            InputError: there is a run, and the training neither resumes nor may overwrite it.
        """
        saved = self.checkpoints.exists()
        ended_at_start = self.state in ("failed", "interrupted") and not saved
        if self.state != "empty" and not (resumes or overwrite or ended_at_start):
            resume = "resume it with --ckpt_path last, " if saved else ""
            raise InputError(
                f"{self} holds a run ({self.state}): name another with --run.dir, {resume}or delete it with "
                "--run.overwrite=true"
            )

    def note_failure(self) -> None:
        """Note that a training failed whose first process, which keeps its state, has died.

        Another one that was begun since keeps its own.
        """
        with suppress(InputError), used_alone(self.path, "trained in", LOADERS_END_S):
            if self.state == "running":
                self.write_state("failed")

    def write_state(self, state: State) -> None:
        """Write the state, whole or not at all."""
        write_atomically(self.state_file, json.dumps({"state": state}) + "\n")

    @property
    def _of_training(self) -> tuple[Path, ...]:
        configs = (self.path / name for name in self.CONFIGS)
        logged = self.metrics, self.tensorboard, self.throughput, self.logger_ids
        return (*configs, *logged, self.cost, self.checkpoints)

    @property
    def _results(self) -> tuple[Path, ...]:
        of_test = (self.facts, self.scores, self.predictions, self.alignment)
        return (*of_test, *self.tower_alignments.values(), self.answers, self.validation, self.also)


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        remove(path)
