"""What preparing costs: against decoding alone, with two processes, when clips are read, and in memory.

    python benchmarks/preparation.py          # times
    python benchmarks/preparation.py memory   # peak memory against length and number of videos

Videos are synthetic: a textured scene under a moving camera with something passing in front, in the sizes, rates and
codecs of Ego4D and EGTEA Gaze+, made once in the system's temporary folder. Ratios come from pairs that are timed one
right after the other, so that other work on the machine weighs on both; the median of the pairs is given. What one
process does is timed by its processor time, which other work hardly changes; two processes are timed by the clock.
The minutes that an hour of video takes are of this machine.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from result import cpu_name, write_result

from gaze_vlm.formats.ego4d_gaze import read_ego4d_gaze
from gaze_vlm.formats.ego4d_writers import gaze_csv_text
from gaze_vlm.formats.recording import Action, Recording
from gaze_vlm.formats.video import timed_frames
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples
from gaze_vlm.preparation.engine import run_local
from gaze_vlm.preparation.frame_sampling import prepare_video
from gaze_vlm.preparation.index import write_index
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.prepare_recording import PrepareRecording
from gaze_vlm.preparation.splits import with_splits
from gaze_vlm.preparation.store import Store

PARAMETERS = PreparationParameters(split_fractions=(1.0, 0.0, 0.0))
PAIRS = 3
SECONDS = 20


class Kind(NamedTuple):
    """A camera with an eye tracker."""

    width_px: int
    height_px: int
    video_hz: int
    gaze_hz: int
    codec: str
    options: dict[str, str]


VP9 = {"deadline": "realtime", "cpu-used": "8", "b": "5M", "g": "128"}
H264 = {"preset": "veryfast", "crf": "20", "g": "48"}
EGO4D = Kind(1088, 1080, 30, 200, "libvpx-vp9", VP9)
EGTEA = Kind(1280, 960, 24, 30, "libx264", H264)
VGA = Kind(640, 480, 24, 30, "libx264", H264)
SMALL = Kind(160, 120, 24, 200, "libx264", H264)


def scene(width: int, height: int) -> np.ndarray:
    """Texture from coarse to as fine as a pixel."""
    random = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    for scale, weight in ((1, 0.3), (4, 1.0), (16, 1.5), (64, 2.5)):
        noise = random.normal(size=(height // scale + 1, width // scale + 1, 3)).astype(np.float32)
        total += weight * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(25 * total + 128, 0, 255).astype(np.uint8)


def video(kind: Kind, seconds: int, name: str) -> Path:
    """The file of that name in the temporary folder; made if it is not there."""
    path = Path(tempfile.gettempdir()) / "gaze-vlm-benchmark" / f"{name}-{seconds}s.mp4"
    if path.is_file():
        return path
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".draft")
    margin = kind.width_px // 4
    image = scene(kind.width_px + 2 * margin, kind.height_px + 2 * margin)
    with av.open(str(draft), "w", format="mp4") as container:
        stream = container.add_stream(kind.codec, rate=kind.video_hz, options=kind.options)
        stream.width, stream.height, stream.pix_fmt = kind.width_px, kind.height_px, "yuv420p"
        for index in range(kind.video_hz * seconds):
            t_s = index / kind.video_hz
            x = margin * (1 + 0.7 * np.sin(0.7 * t_s) + 0.2 * np.sin(3.1 * t_s))
            y = margin * (1 + 0.7 * np.cos(0.5 * t_s) + 0.2 * np.sin(2.3 * t_s))
            shift = np.array([[1, 0, -x], [0, 1, -y]], dtype=np.float32)
            frame = cv2.warpAffine(image, shift, (kind.width_px, kind.height_px))
            centre = int(kind.width_px * (t_s / 3 % 1)), int(0.6 * kind.height_px)
            cv2.circle(frame, centre, kind.width_px // 9, (60, 80, 120), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return draft.rename(path)


def gaze_of(kind: Kind, seconds: int) -> GazeSamples:
    """Gaze that wanders about the middle."""
    t_s = np.arange(0, seconds, 1 / kind.gaze_hz)
    noise = np.random.default_rng(0).normal(0, 0.01, (len(t_s), 2))
    xy = 0.5 + 0.2 * np.stack([np.sin(t_s), np.cos(1.3 * t_s)], axis=1) + noise
    return GazeSamples(t_s, xy, np.full(len(t_s), GazeEvent.FIXATION, dtype=np.uint8))


def gaze_table(kind: Kind, seconds: int) -> Path:
    """A file of such gaze as Ego4D ships it, in the temporary folder; made if it is not there."""
    path = Path(tempfile.gettempdir()) / "gaze-vlm-benchmark" / f"gaze-{kind.gaze_hz}hz-{seconds}s.csv"
    if not path.is_file():
        gaze = gaze_of(kind, seconds)
        path.parent.mkdir(exist_ok=True)
        path.write_text(gaze_csv_text(gaze.t_s, gaze.xy, np.ones(len(gaze), dtype=bool)))
    return path


class SyntheticReader:
    """A data set of one video many times over."""

    dataset, verbs, nouns = "synthetic", (), ()

    def __init__(self, kind: Kind, seconds: int, path: Path, count: int) -> None:
        self.kind, self.seconds, self.path, self.count = kind, seconds, path, count

    def recordings(self) -> list[Recording]:
        size = self.kind.width_px, self.kind.height_px
        actions = tuple(Action(t_s, t_s + 2.0, "cut onion", None, None) for t_s in range(0, self.seconds, 2))
        return [Recording(f"v{i:03d}", self.path, self.path, "p", *size, actions) for i in range(self.count)]

    def read_gaze(self, recording: Recording) -> GazeSamples:
        return gaze_of(self.kind, self.seconds)


class FileReader(SyntheticReader):
    """The same, with gaze that is read from a file of Ego4D's."""

    def read_gaze(self, recording: Recording) -> GazeSamples:
        return read_ego4d_gaze(gaze_table(self.kind, self.seconds))


def seconds_of(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start_s = clock()
    work()
    return clock() - start_s


def time_pairs(
    work: Callable[[], object], base: Callable[[], object], clock: Callable[[], float] = time.process_time
) -> list[tuple[float, float]]:
    """The seconds of both, `PAIRS` times, each in the other order than the one before; what comes first is not warm."""
    work()
    pairs = []
    for pair in range(PAIRS):
        if pair % 2:
            work_s, base_s = seconds_of(work, clock), seconds_of(base, clock)
        else:
            base_s, work_s = seconds_of(base, clock), seconds_of(work, clock)
        pairs.append((work_s, base_s))
    return pairs


def ratio_figures(name: str, pairs: list[tuple[float, float]]) -> dict[str, float | int | str]:
    """The median of the ratios, and all of them: their spread tells how far the machine was someone else's too."""
    ratios = [work_s / base_s for work_s, base_s in pairs]
    return {name: round(median(ratios), 2), f"{name}_pairs": ", ".join(f"{one:.2f}" for one in ratios)}


def decode(path: Path) -> int:
    return sum(1 for _ in timed_frames(path))


def run_jobs(reader: SyntheticReader, workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prepare = PrepareRecording(reader, Path(folder), PARAMETERS)
        for outcome in run_local(prepare, reader.recordings(), workers, lambda part: None):
            assert outcome.reason is None, outcome.reason


def read_overhead() -> list[tuple[float, float]]:
    """Reading all frames of clips with their mixtures, against the frames alone."""
    from gaze_vlm.datamodules.dataset import ClipDataset
    from gaze_vlm.datamodules.gaze_options import GazeOptions
    from gaze_vlm.datamodules.gaze_sources import StoredGaze

    reader = SyntheticReader(EGTEA, SECONDS, video(EGTEA, SECONDS, "egtea"), 1)
    recordings = reader.recordings()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        prepare = PrepareRecording(reader, store, PARAMETERS)
        for recording in recordings:
            prepare(recording, lambda share: None)
        write_index(reader, reader.path.parent, store, with_splits(recordings, PARAMETERS), PARAMETERS, {}, 0, {})
        opened = Store(store)
        gaze = StoredGaze(opened, opened.clips, GazeOptions(), opened.clips)
        dataset = ClipDataset(opened, opened.clips, {"activity": "?"}, gaze)
        some = range(0, len(dataset), 3)
        return time_pairs(lambda: [dataset[i] for i in some], lambda: [dataset.decode(i) for i in some])


def times() -> None:
    cv2.setNumThreads(1)
    load = os.getloadavg()[0]
    figures: dict[str, Any] = {}
    kinds = {"ego4d": EGO4D, "egtea": EGTEA, "vga": VGA}
    for name, kind in kinds.items():
        path, gaze = video(kind, SECONDS, name), gaze_of(kind, SECONDS)
        for suffix, parameters in (("", PARAMETERS), ("_whole_frames", replace(PARAMETERS, flow="dis"))):
            pairs = time_pairs(partial(prepare_video, path, gaze, parameters), partial(decode, path))
            figures |= ratio_figures(f"prepare_over_decode_{name}{suffix}", pairs)
            took_s = median(work_s for work_s, _ in pairs)
            figures[f"processor_minutes_per_video_hour_{name}{suffix}"] = round(60 * took_s / SECONDS, 1)
        figures[f"video_mbit_s_{name}"] = round(8e-6 * path.stat().st_size / SECONDS, 1)
    figures["prepare_over_decode"] = max(figures[f"prepare_over_decode_{name}"] for name in kinds)
    reader = SyntheticReader(EGTEA, SECONDS, video(EGTEA, SECONDS, "egtea"), 4)
    one, two = partial(run_jobs, reader, 1), partial(run_jobs, reader, 2)
    figures |= ratio_figures("prepare_two_processes_speedup", time_pairs(one, two, time.perf_counter))
    figures |= ratio_figures("gaze_read_overhead", read_overhead())
    conditions: dict[str, float | int | str] = {
        "ego4d": "1088x1080 VP9, 30 fps, gaze at 200 Hz",
        "egtea": "1280x960 h264, 24 fps, gaze at 30 Hz",
        "vga": "640x480 h264, 24 fps, gaze at 30 Hz",
        "video_s": SECONDS,
        "pairs": PAIRS,
        "flow": f"{PARAMETERS.flow} on frames {PARAMETERS.flow_max_width_px} px wide; whole_frames: DIS medium",
        "frame_hz": PARAMETERS.frame_hz,
        "window_s": PARAMETERS.window_s,
        "speedup": "4 EGTEA videos, 2 processes over 1, start of the processes included",
        "processes": 1,
        "load_of_others": round(load, 1),
    }
    packages = ("av", "numpy", "opencv-python-headless")
    write_result("preparation", figures, "python benchmarks/preparation.py", cpu_name(), packages, conditions)


def peak_mib(kind: Kind, seconds: int, count: int) -> int:
    """Peak resident memory of a fresh process that reads gaze, prepares `count` videos and writes the index."""
    path = video(kind, seconds, "small")
    gaze_table(kind, seconds)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_prepare_here, FileReader(kind, seconds, path, count)).result()


def _prepare_here(reader: SyntheticReader) -> int:
    import resource

    cv2.setNumThreads(1)
    recordings = reader.recordings()
    with tempfile.TemporaryDirectory() as folder:
        prepare = PrepareRecording(reader, Path(folder), PARAMETERS)
        for recording in recordings:
            assert prepare(recording, lambda share: None).reason is None
        write_index(
            reader, reader.path.parent, Path(folder), with_splits(recordings, PARAMETERS), PARAMETERS, {}, 0, {}
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def memory() -> None:
    figures: dict[str, float | int | str] = {
        f"peak_mib_{name}": peak_mib(SMALL, seconds, count)
        for name, seconds, count in (
            ("1_video_of_2_min", 120, 1),
            ("1_video_of_1_h", 3600, 1),
            ("5_videos_of_10_s", 10, 5),
            ("500_videos_of_10_s", 10, 500),
        )
    }
    write_result(
        "preparation_memory",
        figures,
        "python benchmarks/preparation.py memory",
        cpu_name(),
        ("av", "numpy", "opencv-python-headless"),
        {"video": "160x120 h264, 24 fps, a file of gaze at 200 Hz", "processes": 1},
    )


if __name__ == "__main__":
    memory() if sys.argv[1:] == ["memory"] else times()
