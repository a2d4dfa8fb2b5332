"""What is known of Ego4D's videos with gaze: their entries in `ego4d.json`, and their split in publications."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import check_name
from gaze_vlm.formats.text_files import json_elements
from gaze_vlm.json_files import member

WIDTH_PX, HEIGHT_PX = 1088, 1080  # of the videos with gaze; for entries without a resolution
# The data set itself has no split; publications use this one.
TRAIN = frozenset(
    """
    0d271871-c8ba-4249-9434-d39ce0060e58
    1e83c2d1-ff03-4181-9ab5-a3e396f54a93
    2bb31b69-fcda-4f54-8338-f590944df999
    44d3ef02-cfe2-48e1-bd86-91ea242d5bbc
    47517e98-bc3a-4dbf-a251-401a3bfd928e
    566ad4e5-1ce4-4679-9d19-ef63072c848c
    5a6cc114-5581-4e04-9c60-843e6248da99
    5c78b345-6201-4b55-ac1c-bc3294ffceb6
    642aefe6-1639-4331-a175-ce03faaecc04
    7d8b9b9f-7781-4357-a695-c88f7c7f7591
    7eaebd26-b486-4f5f-9882-8de183348c99
    8455478f-ddba-4c24-a9a9-a05595643751
    869a2290-5509-49d0-8cc6-e0a0230790d3
    9c5b7322-d1cc-4b56-ae9d-85831f28fac1
    9ca2dc18-2c57-44cb-8c91-4b8b5c7ca223
    a223fcb2-8ffa-4826-bd0c-91027cf1c11e
    a7be6dfb-e765-4698-973b-37f222746116
    b3937482-c973-4263-957d-1d5366329dad
    dafc891e-05f0-4734-88c6-1f818ac67a23
    de493aa9-e00c-4c54-bd8b-304e94291ba2
    """.split()
)
TEST = frozenset(
    """
    30294c41-c90d-438a-af19-c1c74787d06b
    5111aaf5-7690-41bb-8b2d-7a109ddc6fd0
    60619944-f982-4de1-b783-21d90f8833e7
    655a03ff-f639-4b27-b3ac-90a3c66dcd67
    65637ec8-01e5-4152-9fc5-d6be563fc35e
    b70b1c34-46b6-49af-bddb-505dc7738f96
    d3514422-dbe7-4f34-89a6-4aac0e12584b
    """.split()
)
# Gaze of doubtful quality: in neither.
DOUBTFUL = frozenset(
    """
    4e07da0c-450f-4c37-95e9-e793cb5d8f7f
    5819e52c-4e12-4f86-ad69-76fc215dfbcb
    83081c5a-8456-44d8-af67-280034f8f0a6
    a77682da-cae7-4e68-8580-6cb47658b23f
    """.split()
)


class Ego4dVideo(NamedTuple):
    """One video: its length, its shown size, and its blackened spans in seconds."""

    video_uid: str
    duration_s: float
    width_px: int = WIDTH_PX
    height_px: int = HEIGHT_PX
    redacted_s: tuple[tuple[float, float], ...] = ()


def read_metadata(path: Path) -> dict[str, Ego4dVideo]:
    """Read all videos of `ego4d.json`, by their uid.

    Its `has_gaze` is not read, for it has been wrong: a video has gaze if there is a file of it.

    Raises:
        InputError: it is no such file, a uid cannot be a file name, or a redacted span is none.
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
    size = entry.get("video_metadata") or {}
    spans = tuple(
        (float(member(span, "start_sec", float)), float(member(span, "end_sec", float)))
        for span in entry.get("redacted_intervals") or []
    )
    for start_s, end_s in spans:
        if not start_s <= end_s:
            raise InputError(f"{path}: video {uid} is redacted from {start_s} to {end_s} s; fix the interval")
    return Ego4dVideo(
        video_uid=uid,
        duration_s=float(member({"duration_sec": None} | entry, "duration_sec", float | None) or math.nan),
        width_px=_side_px(size, "display_resolution_width", WIDTH_PX),
        height_px=_side_px(size, "display_resolution_height", HEIGHT_PX),
        redacted_s=tuple(sorted(spans)),
    )


def _side_px(size: dict[str, Any], name: str, default: int) -> int:
    side_px = int(member({name: None} | size, name, float | None) or default)
    if side_px < 1:
        raise TypeError(f"{name} is {side_px}")
    return side_px


def de_facto_split(video_uid: str) -> str | None:
    """Return `train` or `test`, or None for a video of neither.

    A doubtful video belongs to `train`, if it is used at all.
    """
    if video_uid in TEST:
        return "test"
    return "train" if video_uid in TRAIN | DOUBTFUL else None
