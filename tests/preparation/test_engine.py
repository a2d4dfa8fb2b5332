"""The local engine: a worker that dies becomes its video's reason."""

import os
from pathlib import Path

from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.engine import run_local
from gaze_vlm.preparation.prepare_recording import Outcome
from gaze_vlm.progress import WorkerProgress
from gaze_vlm.workers import Report


def dies_on_b(recording: Recording, report: Report) -> Outcome:
    report(0.5)
    if recording.video_id == "b":
        os._exit(3)
    return Outcome(recording.video_id)


def test_a_dying_worker_costs_its_video_alone() -> None:
    parts: list[WorkerProgress] = []
    recordings = [Recording(name, Path(f"{name}.mp4"), None, "P01", 1280, 960, ()) for name in "abc"]
    outcomes = {one.video_id: one.reason for one in run_local(dies_on_b, recordings, 2, parts.append)}  # type: ignore[arg-type]
    assert outcomes == {"a": None, "b": "b.mp4: 2 times, the process that prepared it ended with status 3", "c": None}
    assert {(part.name, part.share) for part in parts} == {(name, 0.5) for name in "abc"}
    assert {part.worker for part in parts} <= {0, 1}
