"""Tests the runs of a comparison on other data sets than the one that they were trained on."""

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.launch import Failure, Launch, in_parallel, run_or_raise, thread_environment
from gaze_vlm.comparison.planned_runs import LOG, STAMP, PlannedRun
from gaze_vlm.comparison.runs import ALSO, Run, check_whole, read_predictions
from gaze_vlm.errors import InputError
from gaze_vlm.json_files import read_json

PREDICTIONS = "predictions.jsonl"
STORE_FILES = ("manifest.json", "clips.parquet")


class CrossDatasetTest(NamedTuple):
    """One run to test on one other data set."""

    plan: PlannedRun
    dataset: str
    store: Path

    @property
    def directory(self) -> Path:
        """Where the test writes: below the run, so that it goes when the run is trained again."""
        return self.plan.directory / ALSO / self.dataset

    @property
    def command(self) -> list[str]:
        """The command line of the test: the training's own configuration, but for the store."""
        run = self.plan.directory
        return [
            *(sys.executable, "-m", "gaze_vlm", "test"),
            f"--config={run / 'config.yaml'}",
            f"--ckpt_path={run / 'checkpoints' / 'best.ckpt'}",
            f"--data.store={self.store}",
            f"--run.dir={self.directory}",
            f"--run.dataset={self.dataset}",
        ]


def cross_dataset_tests(comparison: Comparison, planned: Sequence[PlannedRun]) -> list[CrossDatasetTest]:
    """Every run of the main table with every data set of `also_test`."""
    main = [plan for plan in planned if plan.train_clips == comparison.train_clips]
    return [CrossDatasetTest(plan, name, store) for name, store in comparison.also_test.items() for plan in main]


def check_stores(comparison: Comparison) -> None:
    """Raises ValueError for a store of `also_test` that is not there, before hours are spent on trainings."""
    for name, store in comparison.also_test.items():
        for file in STORE_FILES:
            if not (store / file).is_file():
                raise InputError(f"also_test: {name}: {store} has no {file}: make the store with `gaze-vlm prepare`")


def run_missing_tests(
    comparison: Comparison, finished: Sequence[PlannedRun], jobs: int, launch: Launch
) -> dict[CrossDatasetTest, Failure]:
    """Makes every test that is not there, or was made of another run or store than there is now.

    Args:
        comparison: what to test on.
        finished: runs of the comparison.
        jobs: tests at a time; each has its share of the cores.
        launch: runs a command, such as `Subprocesses`.

    Returns:
        The tests that failed.
    """
    environment = thread_environment(jobs)

    def test(one: CrossDatasetTest) -> None:
        directory = one.directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        run_or_raise(launch, one.command, directory / LOG, environment)
        check_whole(directory / "metrics.json")
        read_predictions(directory / PREDICTIONS)
        stamp = json.dumps(_stamp(one), indent=2, ensure_ascii=False)
        (directory / STAMP).write_text(stamp + "\n", encoding="utf-8")

    missing = [one for one in cross_dataset_tests(comparison, finished) if not is_done(one)]
    broken = in_parallel(test, missing, jobs, "tests on other data sets")
    return {one: Failure("the test failed", one.directory / LOG) for one in broken}


def is_done(one: CrossDatasetTest) -> bool:
    """Whether this very test is there; its stamp is written last."""
    stamp = one.directory / STAMP
    if not stamp.is_file() or not (one.directory / PREDICTIONS).is_file():
        return False
    made: dict[str, str] = read_json(stamp, "delete it to test again")
    return made == _stamp(one)


def read_test(one: CrossDatasetTest, run: Run) -> Run:
    """The trained run, with its answers on the other data set.

    Raises ValueError naming the file and the line that cannot be read.
    """
    predictions = read_predictions(one.directory / PREDICTIONS)
    return replace(run, path=one.directory, dataset=one.dataset, predictions=predictions)


def _stamp(one: CrossDatasetTest) -> dict[str, str]:
    """What a test depends on: its command (without the interpreter), the store, and the run, by its own answers."""
    files = [one.plan.directory / PREDICTIONS, *(one.store / name for name in STORE_FILES)]
    digests = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    return {"command": " ".join(one.command[3:]), **digests}
