"""The local engines: in this process, or one video a process on all cores."""

from collections.abc import Callable, Sequence
from contextlib import closing

from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.prepare_recording import Outcome, Outcomes, PrepareRecording
from gaze_vlm.progress import WorkerProgress
from gaze_vlm.workers import TRIES, Died, work_on


def run_in_process(
    job: PrepareRecording, recordings: Sequence[Recording], part: Callable[[WorkerProgress], None]
) -> Outcomes:
    """Yield outcomes of this process; `part` gets how far each video is."""
    for recording in recordings:

        def report(share: float, name: str = recording.video_id) -> None:
            part(WorkerProgress(0, name, share))

        yield job(recording, report)


def run_local(
    job: PrepareRecording, recordings: Sequence[Recording], workers: int, part: Callable[[WorkerProgress], None]
) -> Outcomes:
    """Yield outcomes of `workers` processes, in the order in which they are done.

    `part` is called with how far each video is. A video whose process dies is tried once more, after the others; if it
    dies again that is its reason. When the iterator is closed, or fails, the processes are stopped.
    """

    def on_share(number: int, recording: Recording, share: float) -> None:
        part(WorkerProgress(number, recording.video_id, share))

    with closing(work_on(job, recordings, workers, on_share)) as done:
        for recording, made in done:
            if isinstance(made, Died):
                made = Outcome(
                    recording.video_id, f"{recording.video}: {TRIES} times, the process that prepared it {made.how}"
                )
            yield made
