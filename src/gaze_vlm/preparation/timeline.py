"""Which clips a video gives, and what happens in them and after them."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from itertools import accumulate
from pathlib import Path

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import Action, Recording
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.splits import shared_seconds

NO_ACTIVITY = "no action at the end of the clip"
NO_FUTURE = "no action after the anticipation time"
NO_SPLIT = "not in the data set's own split"
AFTER_VIDEO = "the anticipation time is after the end of the video"
REDACTED = "a part of the clip is redacted"
DAMAGED = "a frame of the clip is damaged"
TIME_TOLERANCE_S = 1e-6


class Timeline:
    """The actions of a video, found by time in a binary search."""

    def __init__(self, actions: Sequence[Action]) -> None:
        order = sorted(range(len(actions)), key=lambda i: (actions[i].start_s, -i))
        self.actions = [actions[i] for i in order]
        self.starts_s = [action.start_s for action in self.actions]
        self.latest_ends_s = list(accumulate((action.end_s for action in self.actions), max))

    def at(self, t_s: float) -> Action | None:
        """Return the action at `t_s`; of overlapping ones the last that started."""
        for i in reversed(range(self._started(t_s))):
            if self.latest_ends_s[i] <= t_s:
                return None
            if self.actions[i].end_s > t_s:
                return self.actions[i]
        return None

    def nouns(self, start_s: float, end_s: float) -> tuple[str, ...]:
        """Return the noun labels of the actions from `start_s` to `end_s`, sorted."""
        named: set[str] = set()
        for i in reversed(range(self._started(end_s))):
            if self.latest_ends_s[i] <= start_s:
                break
            if self.actions[i].end_s > start_s:
                named.update(self.actions[i].nouns)
        return tuple(sorted(named))

    def _started(self, t_s: float) -> int:
        """How many actions have started by `t_s`."""
        return bisect_right(self.starts_s, t_s + TIME_TOLERANCE_S)


def is_redacted(spans_s: Sequence[tuple[float, float]], start_s: float, end_s: float) -> bool:
    """Return whether something in (`start_s`, `end_s`] is redacted.

    The frame on screen at `end_s` is a clip's last.
    """
    return any(start < end_s + TIME_TOLERANCE_S and end > start_s + TIME_TOLERANCE_S for start, end in spans_s)


def video_clips(
    recording: Recording,
    frame_t_s: Sequence[float],
    duration_s: float,
    parameters: PreparationParameters,
    damaged: Set[int] = frozenset(),
) -> tuple[list[ClipRecord], Counter[str]]:
    """Return the clips of one video, and the counted reasons of dropped ones.

    Clips end at sampled frames and start at 0 or later; the first is the earliest that fits. The activity
    is the action at the clip's end, the future the one `anticipation_s` later. A clip that shows a redacted
    span or a damaged frame is dropped. A clip is in the split of its video, or, where that has none, of its activity;
    without either it is dropped too.

    Args:
        recording: the video with its actions, redacted spans and split (see `with_splits`).
        frame_t_s: times of the sampled frames.
        duration_s: length of the video.
        parameters: observation, anticipation and stride.
        damaged: indices of the sampled frames that cannot be decoded.
    """
    clips: list[ClipRecord] = []
    dropped: Counter[str] = Counter()
    timeline = Timeline(recording.actions)
    for last in range(parameters.clip_frames - 1, len(frame_t_s), parameters.stride_frames):
        end_s = float(frame_t_s[last])
        start_s = max(0.0, end_s - parameters.observation_s)
        activity = timeline.at(end_s)
        future = timeline.at(end_s + parameters.anticipation_s)
        if end_s + parameters.anticipation_s > duration_s + TIME_TOLERANCE_S:
            dropped[AFTER_VIDEO] += 1
        elif is_redacted(recording.redacted_s, start_s, end_s):
            dropped[REDACTED] += 1
        elif not damaged.isdisjoint(range(last - parameters.clip_frames + 1, last + 1)):
            dropped[DAMAGED] += 1
        elif activity is None:
            dropped[NO_ACTIVITY] += 1
        elif future is None:
            dropped[NO_FUTURE] += 1
        elif (split := recording.split or activity.split) is None:
            dropped[NO_SPLIT] += 1
        else:
            clips.append(
                ClipRecord(
                    clip_id=f"{recording.video_id}-{last:06d}",
                    video_id=recording.video_id,
                    session=recording.session or recording.video_id,
                    session_start_s=recording.session_start_s,
                    participant=recording.participant,
                    split=split,
                    last_frame=last,
                    frames=parameters.clip_frames,
                    start_s=start_s,
                    end_s=end_s,
                    activity_text=activity.text,
                    activity_verb=activity.verb,
                    activity_noun=activity.noun,
                    future_text=future.text,
                    future_verb=future.verb,
                    future_noun=future.noun,
                    same_action=activity is future,
                    future_starts_in_s=future.start_s - end_s,
                    nouns=timeline.nouns(start_s, end_s + parameters.anticipation_s),
                )
            )
    return clips, dropped


def require_clips(
    clips: Sequence[ClipRecord], dropped: Mapping[str, int], quarantined: int, asked: Sequence[str], store: Path
) -> None:
    """Check that a store has clips in every split that needs them.

    Args:
        clips: all clips.
        dropped: how many others were dropped, by the reason.
        quarantined: how many videos could not be used.
        asked: splits that need clips; see `required_splits`.
        store: its folder, for the message.

    Raises:
        InputError: there are no clips at all, or none in one of the splits; the message counts what was dropped.
    """
    empty = sorted(set(asked) - {clip.split for clip in clips}, key=asked.index)
    if not empty and clips:
        return
    lacking = f"no clips in {' and '.join(empty)} (of {len(clips)})" if clips else "no clips at all"
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items(), key=lambda item: -item[1]))
    why = f"dropped were {sum(dropped.values())}: {reasons}" if dropped else "the videos are shorter than a clip"
    raise InputError(
        f"{store}: {lacking}; {why}; {quarantined} videos are quarantined. Check the actions and observation_s, set "
        "another split_seed, or a split's fraction to 0; quality.json and quarantine.jsonl there have the details"
    )


def count_clips(clips: Sequence[ClipRecord], dropped: Mapping[str, int]) -> dict[str, object]:
    """Count clips for the quality report, and what splits have in common."""
    shared = shared_seconds(clips)
    return {
        "total": len(clips),
        "by_split": dict(sorted(Counter(clip.split for clip in clips).items())),
        "same_step_share": sum(clip.same_action for clip in clips) / len(clips) if clips else None,
        "dropped": dict(sorted(dropped.items())),
        "shared_sessions": len(shared),
        "shared_seconds": sum(shared.values()),
    }
