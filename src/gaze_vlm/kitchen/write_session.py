"""One session of a kitchen: simulated, rendered and written by a process of its own, which imports little."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2

from gaze_vlm.kitchen.ego4d import Ego4dFormat
from gaze_vlm.kitchen.egtea import EgteaFormat
from gaze_vlm.kitchen.session import simulate_session
from gaze_vlm.kitchen.truth import ActionBox, action_boxes, session_truth
from gaze_vlm.kitchen.writer import SessionNotes
from gaze_vlm.workers import Report

FileFormatName = Literal["egtea", "ego4d"]
FILE_FORMATS: dict[FileFormatName, EgteaFormat | Ego4dFormat] = {"egtea": EgteaFormat(), "ego4d": Ego4dFormat()}


class SessionToWrite(NamedTuple):
    """What a session is made of, and where its files go."""

    root: Path
    file_format: FileFormatName
    seed: int
    participant: int
    recipe: int
    gaze_ends_early: bool


class WrittenSession(NamedTuple):
    """A session that is written, with what the files about all sessions need of it."""

    session: SessionToWrite
    notes: SessionNotes
    truth: dict[str, Any]
    boxes: list[ActionBox]


def write_session(to_write: SessionToWrite, report: Report = lambda _: None) -> WrittenSession:
    """Write a session's video and gaze, on one thread; it is too short for reports of how far it is."""
    cv2.setNumThreads(1)
    files = FILE_FORMATS[to_write.file_format]
    session = simulate_session(
        to_write.seed, to_write.participant, to_write.recipe, to_write.gaze_ends_early, files.rates
    )
    files.write_session(to_write.root, session)
    notes = SessionNotes(
        video_id=files.video_id(session),
        frame_count=session.scene.frame_count,
        actions=session.actions,
        occluders=tuple((occluder.start_s, occluder.end_s) for occluder in session.scene.occluders),
    )
    return WrittenSession(to_write, notes, session_truth(session), action_boxes(session))
