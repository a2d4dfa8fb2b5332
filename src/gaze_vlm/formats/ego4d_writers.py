"""Texts in Ego4D's formats: pure functions from data to file contents."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from gaze_vlm.errors import InputError
from gaze_vlm.formats.ego4d_gaze import COLUMNS
from gaze_vlm.formats.ego4d_metadata import Ego4dVideo
from gaze_vlm.formats.narrations import Narration

FRAME_HZ = 30


def gaze_csv_text(
    t_s: Float[np.ndarray, " sample"],
    xy: Float[np.ndarray, "sample 2"],
    worn: Bool[np.ndarray, " sample"],
    first_world_index: int = 10583,
) -> str:
    """Write a gaze table of 23 columns.

    Args:
        t_s: seconds from the start of the video.
        xy: normalised, origin top left; written with the origin at the bottom left, as the data set does.
        worn: whether the tracker was worn, the column `confidence`.
        first_world_index: frame of the untrimmed recording in which the first sample was taken.

    Raises:
        InputError: columns have different lengths.
    """
    lengths = {"t_s": len(t_s), "xy": len(xy), "worn": len(worn)}
    if len(set(lengths.values())) > 1:
        raise InputError(f"gaze columns differ in length: {lengths}")
    blanks = "," * (len(COLUMNS) - 7)
    rows = [
        f"0,{time!r},{time!r},{first_world_index + int(time * FRAME_HZ):.1f},{float(on)},{x!r},{1 - y!r}{blanks}"
        for time, (x, y), on in zip(t_s.tolist(), xy.tolist(), worn.tolist(), strict=True)
    ]
    return "\n".join([",".join(COLUMNS), *rows]) + "\n"


def ego4d_json(videos: Sequence[Ego4dVideo]) -> str:
    """Write the `ego4d.json` of videos with gaze, at 30 fps."""
    return _json({"date": "", "description": "", "version": "2.0", "videos": [_video(v) for v in videos], "clips": []})


def narration_json(
    first: Mapping[str, Sequence[Narration]], second: Mapping[str, Sequence[Narration]] | None = None
) -> str:
    """Write a `narration.json`: narrations by video, in one pass or two.

    Texts have their tags, as in "#C C walks".
    """
    passes = {"narration_pass_1": first, "narration_pass_2": second or {}}
    uids = sorted({uid for narrations in passes.values() for uid in narrations})
    return _json(
        {
            uid: {
                **{name: _pass(narrations[uid], uid, name) for name, narrations in passes.items() if uid in narrations},
                "status": "complete",
            }
            for uid in uids
        }
    )


def _video(video: Ego4dVideo) -> dict[str, Any]:
    return {
        "video_uid": video.video_uid,
        "duration_sec": video.duration_s,
        "scenarios": ["Cooking"],
        "video_metadata": {
            "fps": float(FRAME_HZ),
            "num_frames": round(video.duration_s * FRAME_HZ),
            "display_resolution_width": video.width_px,
            "display_resolution_height": video.height_px,
        },
        "has_gaze": True,
        "video_components": [],
        "has_redacted_regions": bool(video.redacted_s),
        "redacted_intervals": [
            {
                "start_sec": start_s,
                "end_sec": end_s,
                "start_frame": round(start_s * FRAME_HZ),
                "end_frame": round(end_s * FRAME_HZ),
            }
            for start_s, end_s in video.redacted_s
        ],
    }


def _pass(narrations: Sequence[Narration], uid: str, name: str) -> dict[str, Any]:
    return {
        "narrations": [
            {
                "timestamp_sec": narration.t_s,
                "timestamp_frame": round(narration.t_s * FRAME_HZ),
                "narration_text": narration.text,
                "annotation_uid": f"{uid}-{name}-{number}",
            }
            for number, narration in enumerate(narrations)
        ],
        "summaries": [],
    }


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1) + "\n"
