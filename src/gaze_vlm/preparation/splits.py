"""Train, validation and test: whole sessions or participants, never one video's seconds in two of them."""

from collections.abc import Iterable, Sequence

import numpy as np

from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.records import ClipRecord

SPLITS = ("train", "validation", "test")


def assign_splits(recordings: Iterable[Recording], parameters: PreparationParameters) -> dict[str, str]:
    """The split of every video, by `video_id`.

    Groups (sessions or participants) are shuffled with the seed and cut at the fractions; a split with a
    fraction above 0 gets at least one group. The result depends on the set of videos, not on their order.

    Raises:
        ValueError: fewer groups than splits to fill.
    """
    videos = sorted(recordings, key=lambda recording: recording.video_id)
    group_of = {
        video.video_id: video.participant if parameters.split_by == "participant" else video.video_id
        for video in videos
    }
    groups = sorted(set(group_of.values()))
    sizes = _sizes(len(groups), parameters.split_fractions, parameters.split_by)
    order = np.random.default_rng(parameters.split_seed).permutation(len(groups))
    labels = np.repeat(SPLITS, sizes)
    split_of_group = {groups[index]: str(label) for index, label in zip(order, labels, strict=True)}
    return {video_id: split_of_group[group] for video_id, group in group_of.items()}


def _sizes(groups: int, fractions: Sequence[float], split_by: str) -> list[int]:
    """Groups in each split: rounded down, at least 1 where wanted, the rest to the largest shortfall."""
    wanted = sum(fraction > 0 for fraction in fractions)
    if groups < wanted:
        raise ValueError(f"{groups} {split_by}s cannot fill {wanted} splits; set a split's fraction to 0 or add videos")
    sizes = [max(int(fraction > 0), int(fraction * groups + 1e-9)) for fraction in fractions]
    while (missing := groups - sum(sizes)) != 0:
        shortfall = [fraction * groups - size for fraction, size in zip(fractions, sizes, strict=True)]
        if missing > 0:
            sizes[int(np.argmax(shortfall))] += 1
        else:  # minimum of 1 gave too many: take from the split that is most above its share
            sizes[min((i for i, size in enumerate(sizes) if size > 1), key=lambda i: shortfall[i])] -= 1
    return sizes


def check_overlap(clips: Sequence[ClipRecord]) -> None:
    """Checks that no second of a video is in clips of two splits.

    Raises:
        ValueError: two clips of different splits share seconds; the message names them.
    """
    by_video: dict[str, list[ClipRecord]] = {}
    for clip in clips:
        by_video.setdefault(clip.video_id, []).append(clip)
    for rows in by_video.values():
        reach: dict[str, ClipRecord] = {}  # of each split, the clip that ends last so far
        for clip in sorted(rows, key=lambda row: row.start_s):
            for split, other in reach.items():
                if split != clip.split and clip.start_s < other.end_s:
                    raise ValueError(
                        f"clips {other.clip_id} ({split}) and {clip.clip_id} ({clip.split}) share seconds of "
                        f"{clip.video_id}; split by session or participant"
                    )
            if clip.split not in reach or reach[clip.split].end_s < clip.end_s:
                reach[clip.split] = clip
