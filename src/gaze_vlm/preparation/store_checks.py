"""Checks that the parts of a store are possible and fit to each other, beyond their types."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import get_args

import numpy as np

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import SAFE_NAME
from gaze_vlm.json_files import shown
from gaze_vlm.preparation.records import ClipRecord, Manifest, Split
from gaze_vlm.preparation.video_gaze import ARRAYS, POINTS

MOST_POINTS = 10_000  # a frame: a window of ten seconds at the fastest tracker's rate
RANGES = {
    "width_px": (1, 100_000),
    "height_px": (1, 100_000),
    "frames": (0, 10**8),
    "duration_s": (0, 10**7),
    "file_bytes": (0, 2**63),
}


def check_manifest(manifest: Manifest) -> None:
    """Check that a manifest's numbers are possible and its ids safe file names.

    Raises:
        TypeError: one is not.
    """
    if not 1 <= manifest.points <= MOST_POINTS:
        raise TypeError(f"points is {shown(manifest.points)}")
    window_s = manifest.parameters.get("window_s")
    if not isinstance(window_s, int | float) or not 0 <= window_s < 1e6:
        raise TypeError(f"window_s is {shown(window_s)}")
    for video_id, entry in manifest.videos.items():
        if not SAFE_NAME.fullmatch(video_id):
            raise TypeError(f"a video is called {shown(video_id)}")
        for name, (least, most) in RANGES.items():
            if not least <= getattr(entry, name) <= most:
                raise TypeError(f"{name} of {video_id} is {shown(getattr(entry, name))}")


def check_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    """Check a video's arrays: their types, one number of frames and points, and times that increase.

    Raises:
        TypeError: one has not.
    """
    dtypes = {"frame_t_s": np.dtype(np.float64), "frame_pts": np.dtype(np.int64)}
    of_point = {name: np.dtype(dtype) for name, (dtype, _) in POINTS.items()}
    frames, points = len(arrays["frame_t_s"]), arrays["event"].shape[1] if arrays["event"].ndim == 2 else 0
    for name in ARRAYS:
        if name in dtypes:
            expected, shape = dtypes[name], (frames,)
        else:
            expected, shape = of_point[name].base, (frames, points, *of_point[name].shape)
        if arrays[name].dtype != expected or arrays[name].shape != shape:
            raise TypeError(f"{name} is {arrays[name].dtype}, {arrays[name].shape}; expected {expected}, {shape}")
    times_s = arrays["frame_t_s"]
    if not np.isfinite(times_s).all() or not (np.diff(times_s) > 0).all():
        raise TypeError("frame_t_s has times that are not finite, or do not increase")


def check_clips(clips: Sequence[ClipRecord], manifest: Manifest, where: str) -> None:
    """Check that each clip is of frames and labels that the manifest has.

    Raises:
        InputError: one is not.
    """
    verbs, nouns = {None, *manifest.verbs}, {None, *manifest.nouns}
    for clip in clips:
        video = manifest.videos.get(clip.video_id)
        frames = 0 if video is None else video.frames
        first = clip.last_frame - clip.frames + 1
        foreign = ({clip.activity_verb, clip.future_verb} - verbs) | ({clip.activity_noun, clip.future_noun} - nouns)
        if clip.frames < 1 or not 0 <= first <= clip.last_frame < frames:
            wrong = f"is of frames {first} to {clip.last_frame} of {clip.video_id}, which has {frames}"
        elif clip.split not in get_args(Split) or not (isfinite(clip.start_s) and isfinite(clip.end_s)):
            wrong = f"is of split {clip.split!r}, from {clip.start_s} to {clip.end_s} s"
        elif foreign:
            wrong = f"is labelled {', '.join(sorted(map(repr, foreign)))}, which is none of the labels in manifest.json"
        else:
            continue
        raise InputError(f"{where}: clip {clip.clip_id} {wrong}; run `gaze-vlm prepare` again")
