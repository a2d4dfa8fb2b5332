"""Tests the runs of a comparison on other data sets than the one that they were trained on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gaze_vlm.command_line.commands import testing_arguments
from gaze_vlm.comparison.choice import store_of
from gaze_vlm.comparison.config import Comparison
from gaze_vlm.comparison.planned_runs import PlannedRun
from gaze_vlm.comparison.runs import Run, read_tested
from gaze_vlm.errors import InputError
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.processes.jobs import Job, Launch, in_parallel, thread_environment
from gaze_vlm.runs.directory import RunDirectory


class CrossDatasetTest(NamedTuple):
    """One run to test on one other data set."""

    run: PlannedRun
    dataset: str
    store: Path

    @property
    def directory(self) -> RunDirectory:
        """Where the test writes: below the run, deleted when the run is trained again."""
        return RunDirectory(self.run.directory.also / self.dataset)

    @property
    def job(self) -> Job:
        """The test; it depends on the store and, by its own answers, on the run."""
        run, directory = self.run.directory, self.directory
        return Job(
            command=testing_arguments(run, self.store, directory, self.dataset),
            directory=directory,
            inputs=[run.predictions, *StoreFiles(self.store).of_training],
            check=lambda: read_tested(directory),
        )

    @property
    def is_done(self) -> bool:
        """Whether this very test is there."""
        directory = self.directory
        is_there = directory.stamp.is_file() and directory.predictions.is_file()
        return is_there and not self.job.changed("delete it to test again")


def cross_dataset_tests(comparison: Comparison, planned: Sequence[PlannedRun]) -> list[CrossDatasetTest]:
    """List every run with every data set to test on that it was not trained on.

    Runs are those of the main table, data sets those of `also_test`.
    """
    main = [run for run in planned if run.train_clips == comparison.train_clips]
    stores = {name: store_of(path) for name, path in comparison.also_test.items()}
    return [CrossDatasetTest(run, name, stores[name]) for name in stores for run in main if run.dataset != name]


def check_stores(comparison: Comparison) -> None:
    """Check the stores of `also_test` before hours are spent on trainings.

    Raises:
        InputError: a store lacks a file.
    """
    for name, path in comparison.also_test.items():
        store = path if not path.exists() else store_of(path)
        for file in StoreFiles(store).of_training:
            if not file.is_file():
                raise InputError(
                    f"also_test: {name}: {store} has no {file.name}: make the store with `gaze-vlm prepare`"
                )


def run_missing_tests(tests: Sequence[CrossDatasetTest], jobs: int, launch: Launch) -> dict[CrossDatasetTest, str]:
    """Make every test that is missing or of another run or store.

    Args:
        tests: of runs that are finished.
        jobs: tests at a time; each has its share of the cores.
        launch: runs a command, such as `Subprocesses`.

    Returns:
        The tests that failed, with the reason, which names the log.
    """
    environment = thread_environment(jobs)

    def make(test: CrossDatasetTest) -> None:
        test.job.run(launch, environment)

    failed = in_parallel(make, [test for test in tests if not test.is_done], jobs, "tests on other data sets")
    return {test: f"the test failed, {test.directory.log}" for test in failed}


def read_test(test: CrossDatasetTest, run: Run) -> Run:
    """Read the trained run, with its answers on the other data set.

    Raises:
        InputError: naming the file and the line that cannot be read.
    """
    return replace(run, directory=test.directory, dataset=test.dataset, predictions=read_tested(test.directory))
