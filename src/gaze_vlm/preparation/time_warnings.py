"""What a preparation warns of: gaze and actions that may be of another clock than their video, and frames it lacks."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from gaze_vlm.errors import first_of
from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.quality_report import LOW_SHARE, TRACKER_HZ, valid_gaze_text

SHIFT_S = 0.4  # trackers that start with their video are off by less
SAME_LENGTH = 0.02  # of gaze and video
SAME_SHIFT = 0.25  # how much the shifts of start and end may differ, of the larger
OTHER_PACE = 0.05
SAME_PACE = 0.01
ENOUGH = 3  # videos whose paces are the same by no accident
SAME_RATE = 0.01
LONG_S = 1.0  # on screen, of one frame: cameras drop single frames
LATE_S = 1.0  # an action that begins at the video's end may be rounded


def warn_of_times(report: Mapping[str, Any], recordings: Sequence[Recording]) -> None:
    """Warn, in a line each, of what most likely has the times of another clock, or lacks frames.

    That is: few sampled frames with valid gaze; gaze as long as its video, which starts and ends later, or earlier, by
    the same; gaze from the start of its video that is longer or shorter by as much as its sampling rate is off the
    rate of a tracker, or by the same in `ENOUGH` videos or more; a frame that is on screen for `LONG_S` or more;
    actions that begin after the end of their video. Gaze that starts before its video and ends after it passes, and so
    does gaze that covers a part of it.

    Args:
        report: of the store; see `quality_report`.
        recordings: the videos in it.
    """
    rows = report["by_video"]
    low = [name for name, row in rows.items() if (row["frames"]["valid_gaze_share"] or 0) < LOW_SHARE]
    share = report["frames"]["valid_gaze_share"]
    if share is not None and share < LOW_SHARE:
        _warn(
            f"{valid_gaze_text(report)}; under a half in {len(low)} of {len(rows)} videos ({first_of(low)}): are the "
            "times of gaze those of the videos? `gaze-vlm quality` shows each one's clock"
        )
    if shifted := [name for name, row in rows.items() if _is_shifted(row)]:
        _warn(
            f"gaze of {len(shifted)} of {len(rows)} videos is as long as its video, and shifted against it "
            f"({_spans(shifted, rows)}): subtract the offset from its times, which are seconds of the video"
        )
    if paced := _of_other_pace(rows):
        _warn(
            f"gaze of {len(paced)} of {len(rows)} videos seems to be timed by a faster or slower clock than its video "
            f"({_spans(paced, rows)}): scale its times, which are seconds of the video"
        )
    stays = {name: row["longest_frame_s"] for name, row in rows.items()}
    if long := [name for name, (start_s, end_s) in stays.items() if end_s - start_s >= LONG_S]:
        spans = first_of([f"{name}: {stays[name][0]:.1f} to {stays[name][1]:.1f} s" for name in long], between="; ")
        _warn(
            f"one frame stays on screen for {LONG_S:g} s or more in {len(long)} of {len(rows)} videos ({spans}): are "
            "frames missing there? Gaze of these seconds is laid on that frame: cut the video there, or leave it out"
        )
    late = {
        recording.video_id: sum(
            action.start_s >= rows[recording.video_id]["duration_s"] + LATE_S for action in recording.actions
        )
        for recording in recordings
    }
    if count := sum(late.values()):
        total = sum(len(recording.actions) for recording in recordings)
        names = [name for name, number in late.items() if number]
        _warn(
            f"{count} of {total} actions begin after the end of their video, in {len(names)} videos "
            f"({first_of(names)}), and are not used: are their times seconds of the video?"
        )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)


def _span(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """Times of the first and the last sample, in seconds."""
    clock, duration_s = row["clock"], row["duration_s"]
    if not clock["gaze_over_video"]:
        return None
    end_s = duration_s + clock["gaze_end_after_video_s"]
    return end_s - clock["gaze_over_video"] * duration_s, end_s


def _is_shifted(row: Mapping[str, Any]) -> bool:
    if (span := _span(row)) is None or abs(row["clock"]["gaze_over_video"] - 1) > SAME_LENGTH:
        return False
    start_s, end_after_s = span[0], row["clock"]["gaze_end_after_video_s"]
    least, most = sorted((abs(start_s), abs(end_after_s)))
    return start_s * end_after_s > 0 and least > SHIFT_S and most - least < SAME_SHIFT * most


def _of_other_pace(rows: Mapping[str, Any]) -> list[str]:
    """The videos with gaze of another length that starts with them, where this is most likely the clock's.

    If all such gaze is longer or shorter by the same, or if at the video's length its rate would be a tracker's.
    """
    off = {}
    for name, row in rows.items():
        span, pace = _span(row), row["clock"]["gaze_over_video"]
        if span is not None and abs(span[0]) < SHIFT_S and abs(pace - 1) > OTHER_PACE:
            off[name] = pace
    alike = len(off) >= ENOUGH and max(off.values()) < (1 + SAME_PACE) * min(off.values())
    return [name for name, pace in off.items() if alike or _hides_a_rate(pace, rows[name]["clock"])]


def _hides_a_rate(pace: float, clock: Mapping[str, Any]) -> bool:
    """Whether the gaze would, if it were as long as its video, have the rate of a tracker, and as it is has none."""
    interval_s = clock["sample_interval_s"]
    return bool(interval_s) and _is_rate(pace / interval_s) and not _is_rate(1 / interval_s)


def _is_rate(rate_hz: float) -> bool:
    return any(abs(rate_hz / hz - 1) < SAME_RATE for hz in TRACKER_HZ)


def _spans(names: Sequence[str], rows: Mapping[str, Any]) -> str:
    spans = [(name, *(_span(rows[name]) or ()), rows[name]["duration_s"]) for name in names]
    said = [
        f"{name}: {start_s:.1f} to {end_s:.1f} s of 0 to {length_s:.1f} s" for name, start_s, end_s, length_s in spans
    ]
    return first_of(said, between="; ")
