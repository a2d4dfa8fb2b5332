"""How good the prepared gaze is: figures of a data set, and of each video of it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from gaze_vlm.gaze.occlusion import visible
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.splits import SPLITS
from gaze_vlm.preparation.timeline import count_clips
from gaze_vlm.preparation.video_gaze import VideoCounts, VideoGaze

CENTRE_CELLS = 16
LOW_SHARE = 0.5
"""Below this share of frames with valid gaze a data set is worth a warning."""
LISTED = 5  # removed labels that the last line names
TRACKER_HZ = (
    *(5, 10, 24, 25, 30, 50, 60, 72, 75, 80, 90, 100, 120, 150, 200),
    *(240, 250, 300, 400, 500, 1000, 2000),
)


@dataclass(frozen=True)
class VideoQuality:
    """Counts of one video, that add up to those of a data set.

    `windows` has the number of sampled frames with 0, 1, 2, … points in the frame, `centre` those points by the cell
    that they were looked at in, rows from the top. Occlusion is by the default ε and η; `left_frame` counts points
    that were in their own frame and that the flow carries out of the sampled one. `valid` counts sampled frames with
    valid gaze; see `VideoGaze.valid_points`.
    """

    counts: VideoCounts
    frames: int
    valid: int
    windows: Int[np.ndarray, " points"]
    centre: Int[np.ndarray, "row column"]
    left_frame: int
    occluded_local: int
    occluded_frame: int
    occluded_share_sum: float

    @classmethod
    def of(cls, gaze: VideoGaze) -> "VideoQuality":
        """Count a video.

        Points that were looked at in the sampled frame itself are never occluded.
        """
        tracked = gaze.event <= GazeEvent.UNKNOWN
        cells = np.clip(gaze.raw_xy[tracked] * CENTRE_CELLS, 0, CENTRE_CELLS - 1).astype(np.uint8)
        centre = np.zeros((CENTRE_CELLS, CENTRE_CELLS), dtype=int)
        np.add.at(centre, (cells[:, 1], cells[:, 0]), 1)
        was_inside = ((gaze.raw_xy >= 0) & (gaze.raw_xy <= 1)).all(axis=-1)
        return cls(
            counts=gaze.counts,
            frames=len(gaze.frame_t_s),
            valid=int(gaze.valid_points().any(axis=1).sum()),
            windows=np.bincount(tracked.sum(axis=1)),
            centre=centre,
            left_frame=int(np.sum(was_inside & (gaze.event == GazeEvent.OUT_OF_FRAME))),
            occluded_local=int(np.sum(tracked & ~visible(gaze.error, gaze.occluded_share, "local"))),
            occluded_frame=int(np.sum(tracked & ~visible(gaze.error, gaze.occluded_share, "frame"))),
            occluded_share_sum=float(np.sum(gaze.occluded_share[tracked])),
        )

    def row(self) -> dict[str, object]:
        """Return the figures of the video; its gaze's are of all samples."""
        counts = self.counts
        return {
            "duration_s": counts.duration_s,
            "samples": sum(counts.samples.values()),
            "event_shares": _shares(counts.samples),
            "clock": clock_figures(counts),
            "frames": _frames([self]),
            "carried": _carried([self]),
            "damaged_frames": counts.damaged_frames,
            "longest_frame_s": list(counts.longest_frame_s),
        }


def clock_figures(counts: VideoCounts) -> dict[str, float | None]:
    """Return length and pace of the gaze against the video.

    `gaze_over_video` is the share of the video between the first and the last sample; `gaze_end_after_video_s` is
    negative where the gaze ends first. `drift` is how much longer the median time between samples is than at the
    nearest of the rates that eye trackers have: 0.01 is a clock that loses a second in a hundred.
    """
    start_s, end_s, interval_s = counts.gaze_start_s, counts.gaze_end_s, counts.gaze_interval_s
    figures: dict[str, float | None] = {
        "sample_interval_s": interval_s,
        "drift": None,
        "gaze_over_video": None,
        "gaze_end_after_video_s": None,
    }
    if interval_s:
        figures["drift"] = interval_s * min(TRACKER_HZ, key=lambda hz: abs(math.log(hz * interval_s))) - 1
    if start_s is not None and end_s is not None and counts.duration_s:
        figures["gaze_over_video"] = (end_s - start_s) / counts.duration_s
        figures["gaze_end_after_video_s"] = end_s - counts.duration_s
    return figures


def quality_report(
    videos: Mapping[str, VideoQuality],
    clips: Sequence[ClipRecord],
    dropped: Mapping[str, int],
    quarantined: int,
    left_out: Mapping[str, Sequence[str]],
    labels: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the figures of `quality.json`; a share of nothing is None.

    Args:
        videos: counts of the prepared videos.
        clips: all clips.
        dropped: how many clips were dropped, by the reason.
        quarantined: how many videos could not be used.
        left_out: names that no clip is of, for they lack a part of the data set, by the reason.
        labels: those that were removed from actions, see `with_labels`.
    """
    every = list(videos.values())
    windows = np.zeros(max([1, *(len(video.windows) for video in every)]), dtype=int)
    for video in every:
        windows[: len(video.windows)] += video.windows
    events = sum((Counter(video.counts.events) for video in every), Counter[str]())
    centre = sum((video.centre for video in every), np.zeros((CENTRE_CELLS, CENTRE_CELLS), dtype=int))
    return {
        "videos": {"prepared": len(every), "quarantined": quarantined},
        "left_out": {reason: list(names) for reason, names in left_out.items()},
        "removed_labels": [dict(entry) for entry in labels],
        "frames": _frames(every),
        "samples": {"total": events.total(), "event_shares": _shares(events)},
        "carried": _carried(every),
        "damaged_frames": sum(video.counts.damaged_frames for video in every),
        "points_a_frame": windows.tolist(),
        "centre_map": centre.tolist(),
        "clips": count_clips(clips, dropped),
        "by_video": {video_id: video.row() for video_id, video in videos.items()},
    }


def summary(report: Mapping[str, Any]) -> str:
    """Return one line: what a preparation made, and what it could not use."""
    videos, clips = report["videos"], report["clips"]
    by_split = ", ".join(f"{clips['by_split'][split]} {split}" for split in SPLITS if split in clips["by_split"])
    said = [
        f"{videos['prepared']} videos, {clips['total']} clips" + (f" ({by_split})" if by_split else ""),
        valid_gaze_text(report),
    ]
    if videos["quarantined"]:
        said.append(f"{videos['quarantined']} videos quarantined (quarantine.jsonl)")
    if report["left_out"]:
        said.append(", ".join(f"{len(names)} with {reason}" for reason, names in report["left_out"].items()))
    if removed := report["removed_labels"]:
        listed = [f"{entry['kind']} {entry['label']} {entry['actions']}" for entry in removed[:LISTED]]
        more = [f"{len(removed) - LISTED} more"] if len(removed) > LISTED else []
        total = sum(entry["actions"] for entry in removed)
        said.append(f"{total} labels of actions removed: {', '.join(listed + more)} (removed_labels in quality.json)")
    if report["damaged_frames"]:
        said.append(f"{report['damaged_frames']} damaged frames")
    return "; ".join(said)


def valid_gaze_text(report: Mapping[str, Any]) -> str:
    """Describe the share of sampled frames with valid gaze."""
    share = report["frames"]["valid_gaze_share"]
    return "no sampled frames" if share is None else f"valid gaze in {100 * share:.1f} % of the sampled frames"


def _frames(videos: Sequence[VideoQuality]) -> dict[str, float | None]:
    total = sum(video.frames for video in videos)
    return {
        "total": total,
        "without_gaze_share": _share(sum(int(video.windows[0]) for video in videos), total),
        "valid_gaze_share": _share(sum(video.valid for video in videos), total),
    }


def _carried(videos: Sequence[VideoQuality]) -> dict[str, float | None]:
    carried = sum(video.counts.carried for video in videos)
    return {
        "total": carried,
        "occluded_share_local_test": _share(sum(video.occluded_local for video in videos), carried),
        "occluded_share_frame_test": _share(sum(video.occluded_frame for video in videos), carried),
        "mean_occluded_pixel_share": _share(sum(video.occluded_share_sum for video in videos), carried),
        "left_frame": sum(video.left_frame for video in videos),
    }


def _shares(events: Mapping[str, int]) -> dict[str, float | None]:
    total = sum(events.values())
    return {event.name.lower(): _share(events.get(event.name.lower(), 0), total) for event in GazeEvent}


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
