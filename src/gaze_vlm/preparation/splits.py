"""Train, validation and test: whole sessions or participants, or the data set's own split."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from gaze_vlm.errors import InputError, TimeLimitError
from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.files import fingerprint
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.records import ClipRecord

SPLITS = ("train", "validation", "test")


def with_splits(recordings: Iterable[Recording], parameters: PreparationParameters) -> list[Recording]:
    """Return the recordings with the splits of their clips.

    A clip's split is in `Recording.split`, or, where that is None, in `Action.split`. By session or participant, the
    groups are shuffled with the seed and cut at the fractions; a split with a fraction above 0 gets at least one group.
    The official split is the data set's own: it has no validation, so the validation's fraction of its training
    sessions, drawn with the seed, becomes that. The result depends on the set of videos, not on their order.

    Raises:
        InputError: there are fewer groups than splits to fill, or no official split.
    """
    videos = sorted(recordings, key=lambda recording: recording.video_id)
    if parameters.split_by == "official":
        return _official(videos, parameters)
    if parameters.split_by == "participant" and all(video.participant == video.video_id for video in videos):
        warnings.warn(
            "the split is by participant, and nothing says who they are: each video counts as one's own", stacklevel=2
        )
    groups = [video.participant if parameters.split_by == "participant" else _session(video) for video in videos]
    names = sorted(set(groups))
    sizes = _sizes(len(names), parameters.split_fractions, parameters.split_by)
    order = np.random.default_rng(parameters.split_seed).permutation(len(names))
    labels = np.repeat(SPLITS, sizes)
    split_of = {names[index]: str(label) for index, label in zip(order, labels, strict=True)}
    return [replace(video, split=split_of[group]) for video, group in zip(videos, groups, strict=True)]


def required_splits(parameters: PreparationParameters) -> tuple[str, ...]:
    """Return the splits that must have clips: those with a fraction above 0.

    The official split always has train and test; it has validation if that takes a share of the training sessions.
    """
    fractions = dict(zip(SPLITS, parameters.split_fractions, strict=True))
    if parameters.split_by == "official":
        fractions |= {"train": 1.0, "test": 1.0}
    return tuple(split for split in SPLITS if fractions[split] > 0)


def _official(videos: Sequence[Recording], parameters: PreparationParameters) -> list[Recording]:
    trained = sorted({_session(video) for video in videos if "train" in _own_splits(video)})
    if not trained:
        raise InputError(
            "split_by is 'official', and no video or action has an official split: is the file of the split missing "
            "in the data set? Or split by session or participant"
        )
    fraction = parameters.split_fractions[SPLITS.index("validation")]
    count = max(int(fraction > 0), round(fraction * len(trained)))
    if count == len(trained):
        raise InputError(
            f"{len(trained)} training sessions cannot give {count} to validation; lower the second of split_fractions"
        )
    drawn = np.random.default_rng(parameters.split_seed).permutation(len(trained))[:count]
    validation = {trained[index] for index in drawn}
    return [_train_to_validation(video) if _session(video) in validation else video for video in videos]


def _own_splits(video: Recording) -> set[str | None]:
    return {action.split for action in video.actions} if video.split is None else {video.split}


def _train_to_validation(video: Recording) -> Recording:
    actions = tuple(
        replace(action, split="validation") if action.split == "train" else action for action in video.actions
    )
    return replace(video, split="validation" if video.split == "train" else video.split, actions=actions)


def _session(video: Recording) -> str:
    return video.session or video.video_id


def _sizes(groups: int, fractions: Sequence[float], split_by: str) -> list[int]:
    """Groups in each split: rounded down, at least 1 where wanted, the rest to the largest shortfall."""
    wanted = sum(fraction > 0 for fraction in fractions)
    if groups < wanted:
        raise InputError(
            f"{groups} {split_by}s cannot fill {wanted} splits: parameters.split_fractions is {list(fractions)} and "
            f"parameters.split_by is {split_by!r}; set a split's fraction to 0, split by something else, or add videos"
        )
    sizes = [max(int(fraction > 0), int(fraction * groups + 1e-9)) for fraction in fractions]
    while (missing := groups - sum(sizes)) != 0:
        shortfall = [fraction * groups - size for fraction, size in zip(fractions, sizes, strict=True)]
        if missing > 0:
            sizes[int(np.argmax(shortfall))] += 1
        else:  # minimum of 1 gave too many: take from the split that is most above its share
            sizes[min((i for i, size in enumerate(sizes) if size > 1), key=lambda i: shortfall[i])] -= 1
    return sizes


def check_distinct(recordings: Iterable[Recording], timeout_s: float | None = None) -> None:
    """Check that no two sessions have the same video file, by size and ends; see `fingerprint`.

    Files that are missing, empty, or cannot be read within `timeout_s` seconds are not compared.

    Raises:
        InputError: two have; the message names both.
    """
    found: dict[tuple[int, str], Recording] = {}
    for recording in recordings:
        try:
            file = fingerprint(recording.video, timeout_s)
        except (OSError, TimeLimitError):  # the preparation will find the same error, and put it into quarantine
            continue
        first = found.setdefault(file, recording)
        if file[0] and _session(first) != _session(recording):
            raise InputError(
                f"{first.video} and {recording.video} are the same video, which could be in train and in test: delete "
                "one of them, with its gaze and its rows in the tables"
            )


def shared_seconds(clips: Iterable[ClipRecord]) -> dict[str, float]:
    """Return the seconds that clips of several splits share, by session.

    It has every session with clips in several splits.
    """
    by_session: dict[str, list[ClipRecord]] = {}
    for clip in clips:
        by_session.setdefault(clip.session, []).append(clip)
    return {
        session: sum(end_s - start_s for start_s, end_s, splits in _spans(rows) if splits > 1)
        for session, rows in by_session.items()
        if len({clip.split for clip in rows}) > 1
    }


def _spans(clips: Sequence[ClipRecord]) -> Iterator[tuple[float, float, int]]:
    """Spans of a session between any two bounds of its clips: start, end, and the number of splits with clips there."""
    bounds = sorted(
        (clip.session_start_s + t_s, clip.split, change)
        for clip in clips
        for t_s, change in ((clip.start_s, 1), (clip.end_s, -1))
    )
    going_on = dict.fromkeys(SPLITS, 0)
    for (start_s, split, change), (end_s, *_) in pairwise(bounds):
        going_on[split] += change
        yield start_s, end_s, sum(count > 0 for count in going_on.values())


def check_overlap(clips: Sequence[ClipRecord], split_by: str) -> None:
    """Check that no two splits share a second; of the official one, warn.

    Raises:
        InputError: clips of different splits share seconds; the message names a session.
    """
    shared = shared_seconds(clips)
    if split_by == "official" and shared:
        warnings.warn(
            f"the official split shares {len(shared)} sessions between its parts, and {sum(shared.values()):.0f} s "
            "of them are in clips of several parts (see quality.json): scores on it reward remembering a session",
            stacklevel=2,
        )
        return
    for session, seconds in shared.items():
        if seconds > 0:
            raise InputError(
                f"{seconds:g} s of session {session} are in clips of several splits; split by session or participant"
            )
