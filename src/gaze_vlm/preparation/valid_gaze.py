"""How many of a store's sampled frames have gaze that a training can use."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool

from gaze_vlm.preparation.splits import SPLITS
from gaze_vlm.preparation.store import Store
from gaze_vlm.preparation.video_gaze import VideoGaze

LOW_SHARE = 0.5
"""Below this share of frames with valid gaze a data set is worth a warning."""
Counting = Callable[[VideoGaze], Bool[np.ndarray, "frame point"]]


def valid_frame_share(store: Store, counting: Counting = VideoGaze.counting) -> dict[str, float]:
    """Share of the sampled frames with valid gaze, by split.

    A frame is valid if some point of it counts: it is tracked, within the window, and visible by the occlusion test.
    A frame counts once, however many clips of the split show it; a split without clips is left out.

    Args:
        store: the prepared data set.
        counting: which points of a video's frames count; by default what `GazeOptions` has as its defaults. Of a run's
            options it is `options.counting`.
    """
    shown: dict[str, dict[str, set[int]]] = {}
    for clip in store.clips:
        by_split = shown.setdefault(clip.video_id, {})
        by_split.setdefault(clip.split, set()).update(range(clip.sampled_frames.start, clip.sampled_frames.stop))
    valid, total = Counter[str](), Counter[str]()
    for video_id, by_split in shown.items():
        is_valid = np.any(counting(store.video(video_id)), axis=1)
        for split, frames in by_split.items():
            valid[split] += int(is_valid[list(frames)].sum())
            total[split] += len(frames)
    return {split: valid[split] / total[split] for split in SPLITS if total[split]}
