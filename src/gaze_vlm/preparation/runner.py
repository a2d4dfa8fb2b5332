"""From a raw data set to a store, one process a video."""

import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2

from gaze_vlm.formats.ego4d import Ego4dReader
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.recording import Reader, Recording
from gaze_vlm.gaze.events import with_events
from gaze_vlm.preparation.clips import video_clips
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.quality import QualityReport
from gaze_vlm.preparation.records import ClipRecord, Manifest, VideoEntry
from gaze_vlm.preparation.splits import check_overlap, with_splits
from gaze_vlm.preparation.store import (
    SCHEMA_VERSION,
    read_video,
    video_file,
    write_atomically,
    write_clips,
    write_json,
    write_manifest,
    write_video,
)
from gaze_vlm.preparation.video import prepare_video
from gaze_vlm.progress import track

READERS: dict[str, Callable[..., Reader]] = {"egtea": EgteaReader, "ego4d": Ego4dReader, "folder": FolderReader}


@dataclass(frozen=True)
class Outcome:
    """What became of one video: prepared if `reason` is None."""

    video_id: str
    reason: str | None = None


def prepare(
    dataset: Literal["egtea", "ego4d", "folder"],
    root: Path,
    store: Path,
    parameters: PreparationParameters = PreparationParameters(),  # noqa: B008, frozen
    workers: int | None = None,
) -> Path:
    """Prepare a data set for training: sample frames, carry the gaze to them, index the clips.

    Videos that are already prepared with the same parameters are skipped, so a stopped run goes on where it
    was. The result does not depend on the number of workers. Videos that cannot be used are listed with the
    reason in quarantine.jsonl.

    Args:
        dataset: Format of the raw data.
        root: Folder of the raw data.
        store: Folder to write; made if missing.
        parameters: What to prepare.
        workers: Number of processes; all processors by default.

    Returns:
        The store's folder.

    Raises:
        ValueError: the raw data are incomplete, or more videos are unusable than
            `parameters.max_quarantined` allows.
    """
    if dataset not in READERS:
        raise ValueError(f"data set {dataset!r} is unknown; use one of {', '.join(READERS)}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}; expected 1 or more")
    root, store = Path(root), Path(store)
    reader = READERS[dataset](root)
    recordings = with_splits(reader.recordings(), parameters)
    task = partial(prepare_recording, reader, store, parameters)
    with _mapper(min(workers or os.cpu_count() or 1, len(recordings))) as mapper:
        outcomes = list(track(mapper(task, recordings), "preparing videos", total=len(recordings)))
    bad = {outcome.video_id: outcome.reason for outcome in outcomes if outcome.reason is not None}
    _write_quarantine(store, bad, len(recordings), parameters.max_quarantined)
    good = [recording for recording in recordings if recording.video_id not in bad]
    _write_index(reader, root, store, good, parameters, quarantined=len(bad))
    return store


def prepare_recording(reader: Reader, store: Path, parameters: PreparationParameters, recording: Recording) -> Outcome:
    """Writes one video's file unless it is there; what is wrong with the raw files becomes the reason."""
    cv2.setNumThreads(1)  # the workers fill the processors
    try:
        aspect = recording.gaze_width_px / recording.gaze_height_px
        gaze = with_events(reader.read_gaze(recording), aspect, parameters.saccade_widths_s)
        path = video_file(store, recording.video_id)
        gaze_bytes = recording.gaze.stat().st_size if recording.gaze is not None else 0
        digest = parameters.video_digest(SCHEMA_VERSION, recording.video.stat().st_size, gaze_bytes)
        if _digest(path) != digest:
            write_video(path, prepare_video(recording.video, gaze, parameters), digest)
    except (ValueError, OSError) as error:
        return Outcome(recording.video_id, f"{error}")
    return Outcome(recording.video_id)


def _digest(path: Path) -> str | None:
    """Digest of a finished file; None if there is none, or one that this version cannot read."""
    if not path.is_file():
        return None
    try:
        return read_video(path)[1]
    except ValueError:  # it is made again
        return None


@contextmanager
def _mapper(workers: int) -> Iterator:
    """`map` in order: in this process, or over `workers` others."""
    if workers == 1:
        yield map
        return
    # A plain fork would inherit the locks of decoder threads; the server imports once for all workers.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with context.Pool(workers) as pool:
        yield pool.imap


def _write_quarantine(store: Path, bad: dict[str, str], total: int, limit: float) -> None:
    lines = [json.dumps({"video_id": video_id, "reason": reason}) + "\n" for video_id, reason in sorted(bad.items())]
    write_atomically(store / "quarantine.jsonl", "".join(lines).encode())
    if len(bad) > limit * total:
        first = next(iter(sorted(bad)))
        raise ValueError(
            f"{len(bad)} of {total} videos cannot be used, more than max_quarantined = {limit:g} allows; "
            f"the first: {first}: {bad[first]} (all in {store / 'quarantine.jsonl'})"
        )


def _write_index(
    reader: Reader,
    root: Path,
    store: Path,
    recordings: Sequence[Recording],
    parameters: PreparationParameters,
    quarantined: int,
) -> None:
    """Clips, quality and, last, the manifest."""
    clips: list[ClipRecord] = []
    dropped: Counter[str] = Counter()
    quality = QualityReport()
    videos: dict[str, VideoEntry] = {}
    points = 1
    for recording in recordings:
        gaze, _ = read_video(video_file(store, recording.video_id))
        quality.add(gaze)
        points = max(points, gaze.event.shape[1])
        rows, reasons = video_clips(recording, gaze.frame_t_s.tolist(), gaze.counts.duration_s, parameters)
        clips += rows
        dropped += reasons
        videos[recording.video_id] = VideoEntry(
            path=recording.video.relative_to(root).as_posix(),
            participant=recording.participant,
            width_px=recording.gaze_width_px,
            height_px=recording.gaze_height_px,
            duration_s=gaze.counts.duration_s,
            frames=len(gaze.frame_t_s),
        )
    check_overlap(clips, parameters.split_by)
    write_clips(store / "clips.parquet", clips)
    write_json(store / "quality.json", quality.report(clips, dropped, quarantined))
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        dataset=reader.dataset,
        parameters=asdict(parameters),
        root=str(root.absolute()),
        verbs=reader.verbs,
        nouns=reader.nouns,
        points=points,
        videos=videos,
    )
    write_manifest(store, manifest)
