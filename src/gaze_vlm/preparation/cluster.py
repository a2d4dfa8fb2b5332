"""The Ray engine: the same job on the machines of a cluster, which see the raw data and the store at the same paths."""

from collections.abc import Sequence
from importlib import import_module
from itertools import islice
from types import ModuleType
from typing import Any

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.prepare_recording import Outcome, Outcomes, PrepareRecording

RETRIES = 3  # on another machine, when one is lost


def run_on_ray(
    job: PrepareRecording, recordings: Sequence[Recording], workers: int | None, address: str | None
) -> Outcomes:
    """Yield outcomes in the order in which they are done, one core a video.

    Args:
        job: what to do with each video.
        recordings: the videos.
        workers: at most so many at a time; None leaves it to the cluster.
        address: of a running cluster, as in `ray.init`; None starts one of this machine.

    Raises:
        InputError: Ray is not installed, or there is no cluster at `address`.
    """
    ray = _ray()
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except ConnectionError as error:
            raise InputError(f"no Ray cluster answers at {address!r}: start one with `ray start --head`") from error
    try:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_prepare)
        shared = ray.put(job)
        waiting = iter(recordings)
        running: dict[Any, Recording] = {}
        while True:
            room = None if workers is None else workers - len(running)
            running |= {task.remote(shared, recording): recording for recording in islice(waiting, room)}
            if not running:
                return
            (done, *_), _ = ray.wait(list(running))
            recording = running.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayError as error:
                line = str(error).splitlines()[0]
                yield Outcome(recording.video_id, f"{recording.video}: its worker was lost {1 + RETRIES} times: {line}")
    finally:
        if started:
            ray.shutdown()


def _prepare(job: PrepareRecording, recording: Recording) -> Outcome:
    return job(recording, lambda share: None)  # a cluster shows progress on its own dashboard


def _ray() -> ModuleType:
    try:
        return import_module("ray")
    except ImportError as error:
        raise InputError("engine ray needs Ray: pip install 'gaze-vlm-lightning[cluster]'") from error
