"""The last part of a preparation: clips, quality and the manifest, from the files of the videos."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gaze_vlm.formats.recording import Reader, Recording
from gaze_vlm.json_files import write_json
from gaze_vlm.preparation.files import StoreFiles, fingerprint
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.quality_report import VideoQuality, quality_report
from gaze_vlm.preparation.records import ClipRecord, Manifest, VideoEntry
from gaze_vlm.preparation.splits import check_overlap, required_splits
from gaze_vlm.preparation.store import (
    SCHEMA_VERSION,
    read_video_gaze,
    reencoded_file,
    video_file,
    write_clips,
    write_manifest,
)
from gaze_vlm.preparation.timeline import require_clips, video_clips


def write_index(
    reader: Reader,
    root: Path,
    store: Path,
    recordings: Sequence[Recording],
    parameters: PreparationParameters,
    options: Mapping[str, Any],
    quarantined: int,
    left_out: Mapping[str, Sequence[str]],
    labels: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Write clips, quality and, last, the manifest.

    Args:
        reader: of the data set.
        root: folder of the raw data.
        store: folder with the videos' files.
        recordings: the videos that could be prepared, with their splits.
        parameters: of the preparation.
        options: of the reader.
        quarantined: how many videos could not be prepared.
        left_out: names that no clip can be of, by the reason.
        labels: those that were removed, see `with_labels`.

    Returns:
        What is in quality.json.

    Raises:
        InputError: there are no clips, or none in a required split; there is no manifest then.
    """
    clips: list[ClipRecord] = []
    dropped: Counter[str] = Counter()
    quality: dict[str, VideoQuality] = {}
    videos: dict[str, VideoEntry] = {}
    points = 1
    for recording in recordings:
        video, video_points, frame_t_s, damaged, made_from = _summarise(video_file(store, recording.video_id))
        quality[recording.video_id] = video
        points = max(points, video_points)
        rows, reasons = video_clips(recording, frame_t_s, video.counts.duration_s, parameters, damaged)
        clips += rows
        dropped += reasons
        copied = parameters.video_short_side_px is not None
        file_bytes, file_ends = fingerprint(reencoded_file(store, recording.video_id) if copied else recording.video)
        videos[recording.video_id] = VideoEntry(
            path=recording.video.relative_to(root).as_posix(),
            participant=recording.participant,
            width_px=recording.gaze_width_px,
            height_px=recording.gaze_height_px,
            duration_s=video.counts.duration_s,
            frames=video.frames,
            reencoded=copied,
            file_bytes=file_bytes,
            file_ends=file_ends,
            made_from=made_from,
        )
    check_overlap(clips, parameters.split_by)
    write_clips(StoreFiles(store).clips, clips)
    report = quality_report(quality, clips, dropped, quarantined, left_out, labels)
    for video_id, entry in videos.items():  # an id is not always the name of the file
        report["by_video"][video_id]["file"] = entry.path
    write_json(StoreFiles(store).quality, report, sort_keys=True)
    require_clips(clips, dropped, quarantined, required_splits(parameters), store)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        dataset=reader.dataset,
        parameters=parameters.plain(),
        root=str(root.absolute()),
        verbs=reader.verbs,
        nouns=reader.nouns,
        points=points,
        reader=dict(options),
        videos=videos,
    )
    write_manifest(store, manifest)
    return report


def _summarise(path: Path) -> tuple[VideoQuality, int, list[float], frozenset[int], str]:
    """What the index takes of a video's file, whose arrays do not outlive this: its counts, the number of points a
    frame, the times of the sampled frames, which of them are damaged, and the digest of what it was made from."""
    gaze, made_from = read_video_gaze(path)
    damaged = frozenset(np.flatnonzero(gaze.damaged).tolist())
    return VideoQuality.of(gaze), gaze.event.shape[1], gaze.frame_t_s.tolist(), damaged, made_from
