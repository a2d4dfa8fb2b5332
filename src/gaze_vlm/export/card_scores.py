"""Scores of a tested run for its model card, with intervals over sessions."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gaze_vlm.comparison.cell_tables import TITLES
from gaze_vlm.comparison.cells import estimate_cell
from gaze_vlm.comparison.paired import arm_scores
from gaze_vlm.comparison.runs import METRICS, Run, read_tested
from gaze_vlm.comparison.statistics import session_interval
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.runs.prediction import TASKS


class TaskScores(NamedTuple):
    """One task's scores on one data set: title and mean with interval of each."""

    dataset: str
    task: str
    clips: int
    sessions: int
    scores: list[tuple[str, str]]


def tests_of(run: Run) -> Iterator[Run]:
    """Yield the run, and the run as it was tested on each other data set.

    Raises:
        InputError: a test on another data set cannot be read.
    """
    yield run
    for folder in sorted(run.directory.also.glob("*/")):
        test = RunDirectory(folder)
        if test.scores.is_file() and test.predictions.is_file():
            yield replace(run, directory=test, dataset=folder.name, predictions=read_tested(test))


def scores_of(run: Run) -> Iterator[TaskScores]:
    """Yield the scores of each task of a run on the data set that it was tested on."""
    for task in TASKS:
        found = arm_scores({run.seed: run}, task, reach_s=0.0)
        if not found.sessions:
            continue
        estimates = {metric: session_interval(found.of(metric), found.sessions) for metric in METRICS}
        shown = [
            (SCORES[metric].title, estimate_cell(metric, estimate))
            for metric, estimate in estimates.items()
            if not np.isnan(estimate.mean)
        ]
        yield TaskScores(run.dataset, TITLES[task], len(found.sessions), len(set(found.sessions)), shown)
