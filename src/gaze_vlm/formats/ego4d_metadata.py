"""What Ego4D's `ego4d.json` tells of a video."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import check_name
from gaze_vlm.formats.text_files import json_elements

WIDTH_PX, HEIGHT_PX = 1088, 1080  # of the videos with gaze; for entries without a resolution


class Ego4dVideo(NamedTuple):
    """One video: its length, the size it is shown at, and the spans that were blackened, in seconds."""

    video_uid: str
    duration_s: float
    width_px: int = WIDTH_PX
    height_px: int = HEIGHT_PX
    redacted_s: tuple[tuple[float, float], ...] = ()


def read_metadata(path: Path) -> dict[str, Ego4dVideo]:
    """All videos of `ego4d.json`, by their uid.

    Its `has_gaze` is not read, for it has been wrong: a video has gaze if there is a file of it.

    Raises:
        ValueError: not such a file, a uid that cannot be a file name, or a redacted span that is not one.
    """
    try:
        videos = [_video(entry, path) for entry in json_elements(path, "videos")]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error!r}): download it again") from error
    if not videos:
        raise InputError(f"{path} lists no videos: download it again")
    return {video.video_uid: video for video in videos}


def _video(entry: dict[str, Any], path: Path) -> Ego4dVideo:
    uid = check_name(entry["video_uid"], f"{path}")
    shown = entry.get("video_metadata") or {}
    spans = tuple((float(span["start_sec"]), float(span["end_sec"])) for span in entry.get("redacted_intervals") or [])
    for start_s, end_s in spans:
        if not start_s <= end_s:
            raise InputError(f"{path}: video {uid} is redacted from {start_s} to {end_s} s; mend the interval")
    return Ego4dVideo(
        video_uid=uid,
        duration_s=float(entry.get("duration_sec") or math.nan),
        width_px=int(shown.get("display_resolution_width") or WIDTH_PX),
        height_px=int(shown.get("display_resolution_height") or HEIGHT_PX),
        redacted_s=tuple(sorted(spans)),
    )
