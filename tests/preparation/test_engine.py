"""The local engine: workers that die, an engine that is stopped, and progress on the way."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.engine import run_local
from gaze_vlm.preparation.prepare_recording import Outcome, Report
from gaze_vlm.progress import WorkerProgress


def recordings(*names: str) -> list[Recording]:
    return [Recording(name, Path(f"{name}.mp4"), None, "P01", 1280, 960, ()) for name in names]


@dataclass(frozen=True)
class Dies:
    """Work that leaves a mark, and that dies on some videos: on `always` each time, on `once` if it has no mark yet."""

    folder: Path

    def __call__(self, recording: Recording, report: Report) -> Outcome:
        mark = self.folder / recording.video_id
        first = not mark.exists()
        with mark.open("a") as file:
            file.write(f"{os.getpid()}\n")
        report(0.5)
        if recording.video_id == "always" or (recording.video_id == "once" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if recording.video_id == "leaves":
            os._exit(3)
        if recording.video_id == "sleeps":
            time.sleep(600)
        return Outcome(recording.video_id)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_dying_worker_costs_its_video_alone(tmp_path: Path, workers: int) -> None:
    parts: list[WorkerProgress] = []
    names = ["a", "always", "b", "once", "leaves", "c", "d"]
    outcomes = {
        outcome.video_id: outcome.reason
        for outcome in run_local(Dies(tmp_path), recordings(*names), workers, parts.append)  # type: ignore[arg-type]
    }
    assert sorted(outcomes) == sorted(names)
    assert [name for name in names if outcomes[name] is None] == ["a", "b", "once", "c", "d"]
    assert outcomes["always"] == (
        "always.mp4: 2 times, the process that prepared it was killed by SIGKILL; the kernel counts no lack of memory, "
        "so a batch system or somebody did it"
    )
    assert outcomes["leaves"] == "leaves.mp4: 2 times, the process that prepared it ended with status 3"
    assert {(part.name, part.share) for part in parts} == {(name, 0.5) for name in names}
    assert {part.worker for part in parts} <= set(range(workers))
    tries = {name: len((tmp_path / name).read_text().split()) for name in names}
    assert tries == {"a": 1, "always": 2, "b": 1, "once": 2, "leaves": 2, "c": 1, "d": 1}


def test_workers_stop_with_the_engine(tmp_path: Path) -> None:
    outcomes = run_local(Dies(tmp_path), recordings("sleeps", "a", "b"), 2, lambda part: None)  # type: ignore[arg-type]
    assert next(outcomes).video_id == "a"
    while not (tmp_path / "sleeps").is_file() or not (tmp_path / "sleeps").read_text():
        time.sleep(0.01)
    outcomes.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "sleeps").read_text()), 0)
