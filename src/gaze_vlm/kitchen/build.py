"""Renders the embedded data set: sessions of several participants, in EGTEA Gaze+'s own files."""

import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from gaze_vlm.formats.writers import LabelledAction
from gaze_vlm.kitchen.recipes import RECIPE_NAMES
from gaze_vlm.kitchen.session import session_name, simulate_session
from gaze_vlm.kitchen.sheet import write_sheet
from gaze_vlm.kitchen.truth import session_truth
from gaze_vlm.kitchen.writer import gaze_text, labelled_actions, write_annotations, write_text, write_video
from gaze_vlm.progress import track

VERSION = 2
"""Raise it when the same parameters no longer give the same kitchen."""
DESCRIPTION_FILE = "kitchen.json"
EARLY_END_EVERY = 10


class _Job(NamedTuple):
    root: Path
    seed: int
    participant: int
    recipe: int
    gaze_ends_early: bool


class _Done(NamedTuple):
    name: str
    actions: list[LabelledAction]
    truth: dict[str, Any]


def build_kitchen(
    root: Path,
    participants: int = 34,
    seed: int = 0,
    workers: int | None = None,
    recipes: int = len(RECIPE_NAMES),
) -> Path:
    """Writes the embedded kitchen: every participant does every recipe once.

    A root that already holds this kitchen is left as it is; an interrupted one is finished.

    Args:
        root: Folder to write; made if it is missing.
        participants: How many people cook.
        seed: The same seed gives the same bytes of gaze and text, whatever the number of workers.
        workers: Processes that render; by default one a core.
        recipes: How many of the six recipes each participant does.

    Returns:
        The root.

    Raises:
        ValueError: If a number is out of range, or the root holds something else.
    """
    if participants < 1:
        raise ValueError(f"participants is {participants}: at least 1 person must cook")
    if not 1 <= recipes <= len(RECIPE_NAMES):
        raise ValueError(f"recipes is {recipes}: choose 1 to {len(RECIPE_NAMES)}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}: at least 1 process must render")
    root = Path(root)
    parameters = {"version": VERSION, "participants": participants, "recipes": recipes, "seed": seed}
    if _is_complete(root, parameters):
        return root
    _describe(root, parameters, complete=False, sessions={})
    jobs = [
        _Job(root, seed, participant, recipe, index % EARLY_END_EVERY == 1)
        for index, (participant, recipe) in enumerate(
            (person, dish) for person in range(1, participants + 1) for dish in range(1, recipes + 1)
        )
    ]
    results = track(_run(jobs, workers or _cores()), "Rendering sessions", len(jobs))
    done = {result.name: result for result in results}
    ordered = [done[session_name(job.participant, job.recipe)] for job in jobs]
    write_annotations(root / "action_annotation", [result.actions for result in ordered])
    write_sheet(root / "sheet.png", [(job.participant, job.recipe) for job in jobs], seed)
    _describe(root, parameters, complete=True, sessions={result.name: result.truth for result in ordered})
    return root


def _write_session(job: _Job) -> _Done:
    session = simulate_session(job.seed, job.participant, job.recipe, job.gaze_ends_early)
    video = job.root / "videos" / f"{session.name}.mp4"
    if not video.exists():
        write_video(video, session)
    write_text(job.root / "gaze_data" / f"{session.name}.txt", gaze_text(session))
    return _Done(session.name, labelled_actions(session), session_truth(session))


def _run(jobs: list[_Job], workers: int) -> Iterator[_Done]:
    """Results in the order in which they are done."""
    if workers == 1:
        yield from map(_write_session, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_one_thread) as pool:
        try:
            for future in as_completed([pool.submit(_write_session, job) for job in jobs]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # after an error, do not render the rest first


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_complete(root: Path, parameters: dict[str, int]) -> bool:
    """Whether this very kitchen is there.

    Raises:
        ValueError: If the root holds another kitchen, or files that are no kitchen.
    """
    path = root / DESCRIPTION_FILE
    if not path.exists():
        if root.exists() and any(root.iterdir()):
            raise ValueError(f"{root} holds files but no {DESCRIPTION_FILE}: choose an empty folder for the kitchen")
        return False
    description = json.loads(path.read_text(encoding="utf-8"))
    if description["parameters"] != parameters:
        raise ValueError(
            f"{path} describes another kitchen ({description['parameters']}, wanted {parameters}): "
            "choose another root or delete this one"
        )
    return bool(description["complete"])


def _describe(root: Path, parameters: dict[str, int], complete: bool, sessions: dict[str, Any]) -> None:
    description = {"parameters": parameters, "complete": complete, "sessions": sessions}
    write_text(root / DESCRIPTION_FILE, json.dumps(description, indent=1) + "\n")
