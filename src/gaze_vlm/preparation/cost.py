"""What a preparation would cost, measured on the first seconds of a few videos; nothing is written to the store."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from gaze_vlm.formats.recording import Recording
from gaze_vlm.formats.reencode import reencoder
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.preparation.frame_sampling import prepare_video
from gaze_vlm.preparation.prepare_recording import PrepareRecording
from gaze_vlm.preparation.video_gaze import ARRAYS
from gaze_vlm.progress import clock, track

MEASURED_VIDEOS = 2
MEASURED_S = 6.0


@dataclass(frozen=True)
class PreparationCost:
    """Cost of the rest of a preparation.

    `seconds` is the work of one process; `size_bytes` is what is added to the store.
    """

    videos: int
    done: int
    unusable: dict[str, str]
    video_s: float
    seconds: float
    size_bytes: float

    def text(self, workers: int) -> str:
        """Describe the cost, for a terminal."""
        left = self.videos - self.done - len(self.unusable)
        busy = max(1, min(workers, left))
        lines = [
            f"{self.videos} videos, {self.done} of them prepared already; {left} to do, {clock(self.video_s)} long",
            f"about {clock(self.seconds / busy)} on {busy} processes, {self.size_bytes / 2**20:.1f} MiB in the store",
            *(f"unusable: {video_id}: {reason}" for video_id, reason in sorted(self.unusable.items())),
        ]
        return "\n".join(lines)


def estimate_cost(job: PrepareRecording, recordings: Sequence[Recording]) -> PreparationCost:
    """Estimate the time and space of the videos that are not prepared yet.

    Every gaze file and every header is read; the first seconds of the first `MEASURED_VIDEOS` are prepared, and the
    rest is taken to go at their pace.
    """
    todo: list[float] = []
    unusable: dict[str, str] = {}
    rates: list[tuple[float, float]] = []
    for recording in track(recordings, "looking at videos"):
        try:
            gaze = job.gaze_of(recording)
            if job.is_done(recording.video_id, job.digest(recording, gaze)):
                continue
            if len(rates) < MEASURED_VIDEOS:
                rates.append(measure_rate(recording, job))
            todo.append(video_info(recording.video, job.decode_timeout_s).duration_s)
        except (ValueError, OSError) as error:
            unusable[recording.video_id] = str(error)
    video_s = sum(todo)
    return PreparationCost(
        videos=len(recordings),
        done=len(recordings) - len(todo) - len(unusable),
        unusable=unusable,
        video_s=video_s,
        seconds=video_s * fmean([seconds for seconds, _ in rates] or [0.0]),
        size_bytes=video_s * fmean([size for _, size in rates] or [0.0]),
    )


def measure_rate(recording: Recording, job: PrepareRecording) -> tuple[float, float]:
    """Measure seconds of work, and bytes of the store, for a second of video."""
    start_s = time.perf_counter()
    gaze, parameters = job.gaze_of(recording), job.parameters
    info = video_info(recording.video, job.decode_timeout_s)
    shown_s = min(max(MEASURED_S, 2 / parameters.frame_hz), info.duration_s)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.mp4"
        with ExitStack() as stack:
            on_frame = []
            if parameters.video_short_side_px is not None:
                on_frame.append(
                    stack.enter_context(reencoder(copy, info, parameters.video_short_side_px, parameters.video_gop))
                )
            arrays = prepare_video(recording.video, gaze, parameters, on_frame, shown_s, job.decode_timeout_s)
        copy_bytes = copy.stat().st_size if copy.is_file() else 0
    size_bytes = copy_bytes + sum(getattr(arrays, name).nbytes for name in ARRAYS)
    return (time.perf_counter() - start_s) / shown_s, size_bytes / shown_s
