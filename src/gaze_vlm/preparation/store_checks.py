"""Checks that the parts of a store are possible and fit to each other, beyond their types."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import get_args

import numpy as np

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import LONGEST_NAME, is_safe_name
from gaze_vlm.json_files import shown
from gaze_vlm.preparation.records import ClipRecord, Manifest, Split
from gaze_vlm.preparation.video_gaze import ARRAYS, POINTS, VideoGaze

MOST_POINTS = 10_000  # a frame: a window of ten seconds at the fastest tracker's rate
IDS = {  # of a clip, and how long each may be; a clip's is its video's with a number
    "clip_id": LONGEST_NAME + 20,
    "video_id": LONGEST_NAME,
    "session": LONGEST_NAME,
    "participant": LONGEST_NAME,
}
NUMBERS = ("session_start_s", "last_frame", "frames", "start_s", "end_s", "future_starts_in_s")
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
        if not is_safe_name(video_id):
            raise TypeError(f"a video is called {shown(video_id)}")
        if not is_safe_name(entry.participant):
            raise TypeError(f"participant of {video_id} is {shown(entry.participant)}")
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


def check_fits(gaze: VideoGaze, made_from: str, manifest: Manifest, video_id: str, path: Path) -> None:
    """Check that a video's arrays are those that the manifest was written for.

    Raises:
        InputError: they are of other numbers of frames or points, or were made from other gaze, another video or with
            other parameters.
    """
    (frames, points), entry = gaze.event.shape, manifest.videos[video_id]
    if frames != entry.frames or points > manifest.points:
        raise InputError(
            f"{path} has {frames} frames of {points} points, and manifest.json says {entry.frames} of "
            f"{manifest.points} at most; run `gaze-vlm prepare` again"
        )
    if entry.made_from and made_from != entry.made_from:  # an older store lacks it
        raise InputError(
            f"{path} was made from other gaze, another video or other parameters ({made_from}) than manifest.json says "
            f"({entry.made_from}): copy the whole store, or run `gaze-vlm prepare` again"
        )


def check_clip_values(clips: Sequence[ClipRecord]) -> None:
    """Check that ids are safe file names, no two clips have one, and every number is finite.

    Raises:
        TypeError: one is not, or a value is missing.
    """
    for field, longest in IDS.items():
        for name in {getattr(clip, field) for clip in clips}:
            if name is None or not is_safe_name(name, longest):
                raise TypeError(f"{field} is {shown(name)}")
    if len({clip.clip_id for clip in clips}) < len(clips):
        twice = next(name for name, count in Counter(clip.clip_id for clip in clips).items() if count > 1)
        raise TypeError(f"two clips are called {shown(twice)}")
    for clip in clips:
        for field in NUMBERS:
            value = getattr(clip, field)
            if value is None or not isfinite(value):
                raise TypeError(f"{field} of {clip.clip_id} is {value}")
        if None in (clip.split, clip.activity_text, clip.future_text, clip.same_action, *clip.nouns):
            raise TypeError(f"{clip.clip_id} lacks a value")


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
        elif clip.split not in get_args(Split) or clip.end_s < clip.start_s:
            wrong = f"is of split {shown(clip.split)}, from {clip.start_s} to {clip.end_s} s"
        elif foreign:
            wrong = f"is labelled {', '.join(sorted(map(repr, foreign)))}, which is none of the labels in manifest.json"
        else:
            continue
        raise InputError(f"{where}: clip {clip.clip_id} {wrong}; run `gaze-vlm prepare` again")
