"""Real signals, from packages that `make test-real` downloads: a Neon's recordings, and videos of a hand at work."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from training_files import ROOT

REAL = ROOT / "data" / "real"
NEON = REAL / "neon" / "tests" / "data"
OPENCV = REAL / "opencv"
WIDTH_PX, HEIGHT_PX = 1600, 1200  # of the Neon's scene camera
EVENT = [("type", "<i4"), ("start_ns", "<i8"), ("end_ns", "<i8")]
GAZE_EVENT = np.dtype(EVENT + [(f"value_{k}", "<f4") for k in range(10)])
FIXATION = 1


@dataclass(frozen=True)
class NeonRecording:
    """What a Neon itself wrote: times in ns, places in px, worn 0 or 255, [start, end) of its fixations and blinks."""

    name: str
    t_ns: np.ndarray
    xy_px: np.ndarray
    worn: np.ndarray
    fixations_ns: np.ndarray
    blinks_ns: np.ndarray
    world_ns: np.ndarray


def real_file(path: Path) -> Path:
    """`path`, or the test is skipped."""
    if not path.exists():
        pytest.skip(f"{path} is missing: run `make test-real`, which downloads it")
    return path


def read_neon(name: str) -> NeonRecording:
    folder = real_file(NEON / name)
    events = _joined(folder, "fixations ps*.raw", GAZE_EVENT)
    blinks = _joined(folder, "blinks ps*.raw", np.dtype(EVENT))
    return NeonRecording(
        name=json.loads((folder / "info.json").read_text())["recording_id"],
        t_ns=np.fromfile(folder / "gaze_200hz.time", "<i8"),
        xy_px=np.fromfile(folder / "gaze_200hz.raw", "<f4").reshape(-1, 2),
        worn=np.fromfile(folder / "worn_200hz.raw", "u1"),
        fixations_ns=_spans(events[events["type"] == FIXATION]),
        blinks_ns=_spans(blinks),
        world_ns=_joined(folder, "Neon Scene Camera v1 ps*.time", np.dtype("<i8")),
    )


def within(t_ns: np.ndarray, spans_ns: np.ndarray) -> np.ndarray:
    """Number, from 1, of the span that each time is in; 0 outside of all."""
    ids = np.zeros(len(t_ns), dtype=int)
    for number, (start, end) in enumerate(spans_ns, 1):
        ids[(start <= t_ns) & (t_ns < end)] = number
    return ids


def write_export(recording: NeonRecording, folder: Path, events: bool, world_ns: np.ndarray | None = None) -> Path:
    """The two files of an export as its maker's own script writes them: 255 for worn, no id where there is no event.

    Without `events` the ids of fixations are -1, as that script has them for a recording without such a file.
    """
    folder.mkdir(parents=True)
    world = recording.world_ns if world_ns is None else world_ns
    _write(folder / "world_timestamps.csv", ["recording id", "timestamp [ns]"], [(recording.name, t) for t in world])
    fixation = [number or "" for number in within(recording.t_ns, recording.fixations_ns)] if events else None
    rows = zip(
        [recording.name] * len(recording.t_ns),
        recording.t_ns,
        *recording.xy_px.T,
        recording.worn,
        fixation or [-1] * len(recording.t_ns),
        [number or "" for number in within(recording.t_ns, recording.blinks_ns)],
        strict=True,
    )
    names = "recording id,timestamp [ns],gaze x [px],gaze y [px],worn,fixation id,blink id".split(",")
    _write(folder / "gaze.csv", names, rows)
    return folder / "gaze.csv"


def _write(path: Path, names: list[str], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def _joined(folder: Path, pattern: str, dtype: np.dtype) -> np.ndarray:
    return np.concatenate([np.fromfile(path, dtype) for path in sorted(folder.glob(pattern))])


def _spans(events: np.ndarray) -> np.ndarray:
    return np.stack([events["start_ns"], events["end_ns"]], axis=-1)
