"""Whether gaze is timed by its video: times in another unit, of another clock or of another recording are refused."""

import math
from pathlib import Path

from gaze_vlm.errors import InputError
from gaze_vlm.formats.video import TIME_TOLERANCE_S
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeSamples

FEW_SHARE = 0.1
FEW_HZ = 2.0
LIKELY = 5.0  # two units are at least 24 apart, so at most one is within this factor
UNIX_S = (5e8, 5e9)  # 1985 to 2128


def check_times(path: Path, gaze: GazeSamples, video: VideoInfo) -> None:
    """Check that gaze falls inside its video.

    It does not if both hold: less than a tenth of the samples are inside, and less than two a second of the video.
    So gaze that ends long before its video passes, and so does gaze that continues long after it.

    Args:
        path: file of the gaze, for the message.
        gaze: all samples; none at all passes.
        video: what the video's header states; one that states no duration passes.

    Raises:
        InputError: almost no sample is inside the video; the message names the likely unit.
    """
    inside = len(gaze.window(-TIME_TOLERANCE_S, video.duration_s + TIME_TOLERANCE_S))
    few = inside < FEW_SHARE * len(gaze) and inside < FEW_HZ * video.duration_s
    if few and video.duration_s > 0:
        start_s, end_s = float(gaze.t_s[0]), float(gaze.t_s[-1])
        raise InputError(
            f"{path}: {inside} of {len(gaze)} samples are inside the video, for gaze spans {start_s:,.0f} to "
            f"{end_s:,.0f} s and the video 0 to {video.duration_s:,.0f} s; {likely_mistake(start_s, end_s, video)}"
        )


def likely_mistake(start_s: float, end_s: float, video: VideoInfo) -> str:
    """Describe what the times of gaze may be, and how to correct them.

    The unit is that in which the span of the gaze is nearest to the length of the video.

    Args:
        start_s: the first sample's time, if it is in seconds.
        end_s: the last one's.
        video: the video that all samples are outside of.
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
    return "is it gaze of another recording, or of another clock? Use this video's, in seconds from its start"
