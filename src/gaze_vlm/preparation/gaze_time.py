"""Whether gaze and actions are timed by their video.

Times in another unit, of another clock or of another recording are refused.
"""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import Action
from gaze_vlm.formats.video import TIME_TOLERANCE_S
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeSamples

FEW_SHARE = 0.1
FEW_HZ = 2.0
LIKELY = 5.0  # two units are at least 24 apart, so at most one is within this factor
SAME = 0.02  # a span that is a unit times the video's length, within this share, is in that unit
LATE_S = 0.1  # of pictures after the sound: more is seen in a caption
UNIX_S = (5e8, 5e9)  # 1985 to 2128


def check_times(path: Path, gaze: GazeSamples, video: VideoInfo) -> None:
    """Check that gaze falls inside its video.

    It does not if less than a tenth of the samples are inside, and either less than two a second of the video are, or
    the samples span as many frames as the video has: a fast tracker's times in frames. So gaze that ends long before
    its video passes, and so does gaze that continues long after it.

    Args:
        path: file of the gaze, for the message.
        gaze: all samples; none at all passes.
        video: what the video's header states; one that states no duration passes.

    Raises:
        InputError: almost no sample is inside the video; the message names the likely unit.
    """
    inside = len(gaze.window(-TIME_TOLERANCE_S, video.duration_s + TIME_TOLERANCE_S))
    if not video.duration_s > 0 or inside >= FEW_SHARE * len(gaze):
        return
    start_s, end_s = float(gaze.t_s[0]), float(gaze.t_s[-1])
    in_frames = abs((end_s - start_s) / (video.average_hz * video.duration_s) - 1) < SAME
    if in_frames or inside < FEW_HZ * video.duration_s:
        raise InputError(
            f"{path}: {inside} of {len(gaze)} samples are inside the video, for gaze spans "
            f"{both_spans(start_s, end_s, video, 'gaze')}"
        )


def check_actions(actions: Sequence[Action], video_file: Path, video: VideoInfo) -> None:
    """Check that actions fall inside their video.

    They do not if at most a tenth of them, or one, begin inside, and the last ends several times as late as the video.
    So actions of which the video shows the first part alone pass.

    Args:
        actions: of the video; none at all pass.
        video_file: the video, for the message.
        video: what its header states; one that states no duration passes.

    Raises:
        InputError: almost no action is inside the video; the message names the likely unit.
    """
    if not actions or not video.duration_s > 0:
        return
    start_s, end_s = min(action.start_s for action in actions), max(action.end_s for action in actions)
    inside = sum(action.start_s < video.duration_s and action.end_s > 0 for action in actions)
    if not inside or (inside <= max(1, FEW_SHARE * len(actions)) and end_s > LIKELY * video.duration_s):
        raise InputError(
            f"{video_file}: {inside} of {len(actions)} actions begin inside the video, for they span "
            f"{both_spans(start_s, end_s, video, 'actions')}"
        )


def check_start(video_file: Path, video: VideoInfo) -> None:
    """Warn of a video whose first frame comes more than `LATE_S` after the start of its file, as after sound.

    Gaze and actions count from the first frame, players from the start of the file.
    """
    if video.offset_s > LATE_S:
        warnings.warn(
            f"{video_file}: its first frame is {video.offset_s:.2f} s after the start of the file, as players count. "
            f"Times of gaze and texts count from that frame: subtract {video.offset_s:.2f} s from those that were read "
            "off a player or made by `gaze-vlm caption`",
            stacklevel=2,
        )


def both_spans(start_s: float, end_s: float, video: VideoInfo, what: str) -> str:
    """Describe a span of times, that of their video, and the likely mistake; see `likely_mistake`."""
    likely = likely_mistake(start_s, end_s, video, what)
    return f"{start_s:,.0f} to {end_s:,.0f} s and the video 0 to {video.duration_s:,.0f} s; {likely}"


def likely_mistake(start_s: float, end_s: float, video: VideoInfo, what: str) -> str:
    """Describe what the times of gaze or actions may be, and how to correct them.

    The unit is that in which their span is nearest to the length of the video.

    Args:
        start_s: the first time, if it is in seconds.
        end_s: the last one.
        video: the video that they are outside of.
        what: `gaze` or `actions`, for the text.
    """
    units = {
        "seconds": 1.0,
        "frames": video.average_hz,
        "milliseconds": 1e3,
        "microseconds": 1e6,
        "nanoseconds": 1e9,
    }
    ratio = (end_s - start_s) / video.duration_s
    if ratio > 0:
        unit = min(units, key=lambda name: abs(math.log(ratio / units[name])))
        if 1 / LIKELY < ratio / units[unit] < LIKELY:
            is_unix = UNIX_S[0] < start_s / units[unit] < UNIX_S[1]
            if is_unix or unit != "seconds":
                kind = "Unix time in " if is_unix else "in "
                return f"are the times {kind}{unit}? Write them in seconds from the start of the video"
    return f"is it {what} of another recording, or of another clock? Use this video's, in seconds from its start"
