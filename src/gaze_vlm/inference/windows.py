"""Windows of any video: their times, and their frames sampled as a training samples those of clips."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze_vlm.errors import InputError
from gaze_vlm.formats.video import TIME_TOLERANCE_S, Pixels, frames_on_screen
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.ranges import above_zero, at_least
from gaze_vlm.time_limit import each_within, hangs

LEAST_STRIDE_S = 0.001
MOST_FRAMES = 10_000  # of a window
TICKS_S = 10**6  # times are whole microseconds, so that windows that share a frame know it


@dataclass(frozen=True)
class WindowTimes:
    """When windows are, and when their frames.

    Frame k of a window, from 0, is the one on screen (k + 1) / frame_hz seconds into it, the last at its end, as in a
    prepared store.

    Args:
        observation_s: length of a window, in seconds.
        stride_s: seconds between the ends of successive windows.
        frame_hz: rate of the sampled frames, in Hz.

    Raises:
        InputError: a number is not above 0, the stride is below a millisecond, or a window is not a whole number of
            sampled frames, or of more than `MOST_FRAMES`.
    """

    observation_s: float
    stride_s: float
    frame_hz: float

    def __post_init__(self) -> None:
        above_zero(observation_s=self.observation_s, stride_s=self.stride_s, frame_hz=self.frame_hz)
        frames = self.observation_s * self.frame_hz
        if frames > MOST_FRAMES:
            raise InputError(
                f"observation_s {self.observation_s:g} at frame_hz {self.frame_hz:g} makes more than {MOST_FRAMES} "
                "frames: give a smaller one"
            )
        at_least(LEAST_STRIDE_S, stride_s=self.stride_s)
        if round(frames) < 1 or not math.isclose(frames, round(frames), abs_tol=1e-6):
            raise InputError(
                f"observation_s is {self.observation_s:g}; expected a multiple of the time between frames, "
                f"{1 / self.frame_hz:g} s"
            )

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return round(self.observation_s * self.frame_hz)

    @property
    def frame_times_s(self) -> list[float]:
        """Times of a window's frames, in seconds from its start."""
        return [(index + 1) / self.frame_hz for index in range(self.frames)]

    def ends_s(self, duration_s: float) -> list[float]:
        """List the ends of a video's windows, in seconds from its start.

        Where more than the time between two frames is left behind the last of them, one more ends with the video.
        """
        count = math.floor((duration_s - self.observation_s + TIME_TOLERANCE_S) / self.stride_s) + 1
        ends_s = [self.observation_s + index * self.stride_s for index in range(count)]
        if ends_s and duration_s - ends_s[-1] > 1 / self.frame_hz + TIME_TOLERANCE_S:
            ends_s.append(duration_s)
        return [round(end_s, 6) for end_s in ends_s]

    def sampled_at(self, end_s: float) -> list[int]:
        """List the times of a window's frames, in microseconds from the start of the video."""
        start_s = end_s - self.observation_s
        return [round((start_s + t_s) * TICKS_S) for t_s in self.frame_times_s]


@dataclass(frozen=True)
class Window:
    """A span of a video and its sampled frames, RGB in [0, 255] at the video's own size, upright.

    Times are in seconds from the start of the video's stream, `frame_times_s` from the window's. `frames` is None where
    one of them is damaged.
    """

    start_s: float
    end_s: float
    frame_times_s: Sequence[float]
    pts: Sequence[int]
    frames: UInt8[Tensor, "frame 3 height width"] | None


def read_windows(
    path: Path, times: WindowTimes, ends_s: Sequence[float], timeout_s: float | None = None
) -> Iterator[Window]:
    """Read the windows of a video that end at some times; each frame is decoded once.

    Args:
        path: the video.
        times: length and rate of the windows.
        ends_s: their ends in seconds from the start of the video's stream, ascending.
        timeout_s: seconds that the decoder may take for a window; None waits for ever.

    Raises:
        InputError: the file cannot be read as a video, its timestamps run backwards, or it ends before a window does.
        TimeLimitError: a window takes longer.
    """
    return each_within(timeout_s, hangs(path, timeout_s), _read_windows(path, times, ends_s))


def _read_windows(path: Path, times: WindowTimes, ends_s: Sequence[float]) -> Iterator[Window]:
    sampled = [times.sampled_at(end_s) for end_s in ends_s]
    ticks = sorted({tick for window in sampled for tick in window})
    on_screen = zip(ticks, frames_on_screen(path, (tick / TICKS_S for tick in ticks)), strict=True)
    info = video_info(path)
    pixels = Pixels("rgb24", info.width_px, info.height_px)  # whose size may change midway
    held: dict[int, tuple[int, Tensor | None]] = {}
    for end_s, window in zip(ends_s, sampled, strict=True):
        held = {tick: one for tick, one in held.items() if tick >= window[0]}
        while window[-1] not in held:
            tick, shown = next(on_screen)
            held[tick] = (shown.pts, None if shown.frame is None else torch.from_numpy(pixels(shown.frame)))
        pts, images = zip(*(held[tick] for tick in window), strict=True)
        intact = [image for image in images if image is not None]
        yield Window(
            start_s=round(end_s - times.observation_s, 6),
            end_s=end_s,
            frame_times_s=times.frame_times_s,
            pts=pts,
            frames=to_frames(torch.stack(intact)) if len(intact) == len(images) else None,
        )
