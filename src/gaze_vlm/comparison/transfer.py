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
from gaze_vlm.comparison.launch import Failure, Launch, in_parallel, must, thread_environment
from gaze_vlm.comparison.plans import LOG, STAMP, Plan
from gaze_vlm.comparison.runs import ALSO, Run, check_whole, read_predictions
from gaze_vlm.errors import InputError
from gaze_vlm.json_files import read_json

PREDICTIONS = "predictions.jsonl"
STORE_FILES = ("manifest.json", "clips.parquet")


class Transfer(NamedTuple):
    """One run to test on one other data set."""

    plan: Plan
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


def transfers(comparison: Comparison, planned: Sequence[Plan]) -> list[Transfer]:
    """Every run of the main table with every data set of `also_test`."""
    main = [plan for plan in planned if plan.train_clips == comparison.train_clips]
    return [Transfer(plan, name, store) for name, store in comparison.also_test.items() for plan in main]


def check_stores(comparison: Comparison) -> None:
    """Raises ValueError for a store of `also_test` that is not there, before hours are spent on trainings."""
    for name, store in comparison.also_test.items():
        for file in STORE_FILES:
            if not (store / file).is_file():
                raise InputError(f"also_test: {name}: {store} has no {file}: make the store with `gaze-vlm prepare`")


def transfer_missing(
    comparison: Comparison, finished: Sequence[Plan], jobs: int, launch: Launch
) -> dict[Transfer, Failure]:
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

    def test(transfer: Transfer) -> None:
        directory = transfer.directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        must(launch, transfer.command, directory / LOG, environment)
        check_whole(directory / "metrics.json")
        read_predictions(directory / PREDICTIONS)
        stamp = json.dumps(_stamp(transfer), indent=2, ensure_ascii=False)
        (directory / STAMP).write_text(stamp + "\n", encoding="utf-8")

    missing = [transfer for transfer in transfers(comparison, finished) if not is_done(transfer)]
    broken = in_parallel(test, missing, jobs, "tests on other data sets")
    return {transfer: Failure("the test failed", transfer.directory / LOG) for transfer in broken}


def is_done(transfer: Transfer) -> bool:
    """Whether this very test is there; its stamp is written last."""
    stamp = transfer.directory / STAMP
    if not stamp.is_file() or not (transfer.directory / PREDICTIONS).is_file():
        return False
    made: dict[str, str] = read_json(stamp, "delete it to test again")
    return made == _stamp(transfer)


def read_transfer(transfer: Transfer, run: Run) -> Run:
    """The trained run, with its answers on the other data set.

    Raises ValueError naming the file and the line that cannot be read.
    """
    predictions = read_predictions(transfer.directory / PREDICTIONS)
    return replace(run, path=transfer.directory, dataset=transfer.dataset, predictions=predictions)


def _stamp(transfer: Transfer) -> dict[str, str]:
    """What a test depends on: its command (without the interpreter), the store, and the run, by its own answers."""
    files = [transfer.plan.directory / PREDICTIONS, *(transfer.store / name for name in STORE_FILES)]
    digests = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    return {"command": " ".join(transfer.command[3:]), **digests}
