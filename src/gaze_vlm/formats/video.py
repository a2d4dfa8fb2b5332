"""Video files through PyAV: all frames in order, and single frames by their timestamps, turned as players show them.

Time is always taken from presentation timestamps (pts), never from a frame's index: many recordings have a
variable frame rate. `t_s` is in seconds from the start of the video stream. Decoding uses one thread, because
workers run beside each other.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from gaze_vlm.errors import InputError
from gaze_vlm.formats.decoder import Decoded, Decoder, backwards, decoded
from gaze_vlm.formats.orientation import orientation_of
from gaze_vlm.formats.video_header import MAX_MISSING_S, VideoInfo, header, open_video
from gaze_vlm.time_limit import each_within, hangs, within

TIME_TOLERANCE_S = 1e-6  # below any frame duration, above the rounding of a float of seconds


@dataclass(frozen=True)
class TimedFrame:
    """A decoded frame, not yet turned into pixels; `frame` is None if it is damaged.

    Its times are whole ticks of the file's clock, `tick_s` apart: Matroska's are milliseconds.
    """

    pts: int
    t_s: float
    duration_s: float
    frame: av.VideoFrame | None
    tick_s: float = 0.0


def timed_frames(path: Path, timeout_s: float | None = None) -> Iterator[TimedFrame]:
    """Yield all frames in order, not yet as pixels; a damaged one has none.

    Args:
        path: the video.
        timeout_s: seconds that the decoder may take for a frame; None waits for ever.

    Raises:
        InputError: the file cannot be read as a video, timestamps run backwards, it ends before its header says, or a
            frame takes too long.
    """
    return each_within(timeout_s, hangs(path, timeout_s), _timed_frames(path))


def _timed_frames(path: Path) -> Iterator[TimedFrame]:
    with open_video(path) as (container, stream):
        info = header(container, stream, path)
        end_s = 0.0
        for pts, frame in in_order(decoded(container, stream, path), info, path):
            timed = _timed(pts, frame, info)
            end_s = timed.t_s + timed.duration_s
            yield timed
        if end_s < info.duration_s - MAX_MISSING_S:
            raise _cut_short(path, end_s, info)


def _timed(pts: int, frame: av.VideoFrame | None, info: VideoInfo) -> TimedFrame:
    ticks = 0 if frame is None else frame.duration or 0
    duration_s = float(ticks * info.time_base) or 1 / info.average_hz
    return TimedFrame(pts, info.seconds(pts), duration_s, frame, float(info.time_base))


def _cut_short(path: Path, end_s: float, info: VideoInfo) -> InputError:
    return InputError(f"{path}: cut short, {end_s:.1f} s of {info.duration_s:.1f} s can be decoded; copy it again")


def in_order(frames: Iterable[Decoded], info: VideoInfo, path: Path) -> Iterator[Decoded]:
    """Pass frames on as long as their timestamps rise.

    Raises:
        InputError: they run backwards.
    """
    last_pts: float = -math.inf
    for pts, frame in frames:
        if pts <= last_pts:
            raise backwards(path, info.seconds(pts))
        last_pts = pts
        yield pts, frame


def frames_at(
    path: Path,
    pts: Sequence[int],
    width_px: int | None = None,
    height_px: int | None = None,
    timeout_s: float | None = None,
) -> UInt8[np.ndarray, "frame height width 3"]:
    """Read exactly the frames with these timestamps, as RGB in [0, 255].

    Seeks to the key frame before each one, unless decoding on from the previous one is shorter.

    Args:
        path: the video.
        pts: presentation timestamps that exist in the video, ascending, as `timed_frames` gives them.
        width_px: width of the result; the video's own if None, to which a frame of another size is scaled.
        height_px: height of the result; the video's own if None.
        timeout_s: seconds that all of them may take; None waits for ever.

    Raises:
        InputError: `pts` is empty or not ascending, a timestamp is not in the video, or it cannot be decoded.
        TimeLimitError: it takes too long.
    """
    if not len(pts) or np.any(np.diff(pts) < 0):
        raise InputError(f"pts must be ascending and not empty, not {pts!r}")
    return within(timeout_s, hangs(path, timeout_s), partial(_frames_at, path, pts, width_px, height_px))


def _frames_at(path: Path, pts: Sequence[int], width_px: int | None, height_px: int | None) -> UInt8[np.ndarray, "..."]:
    images = []
    with open_video(path) as (container, stream):
        pixels = Pixels("rgb24", width_px, height_px, (stream.codec_context.width, stream.codec_context.height))
        decoder = Decoder(container, stream, path)
        for target in pts:
            found, frame = decoder.at_or_before(int(target)) or (None, None)
            if frame is None or found != target:
                raise InputError(f"{path}: no frame with pts {target}; was the video replaced? Prepare it again")
            images.append(pixels(frame))
    return np.stack(images)


def frames_on_screen(path: Path, times_s: Iterable[float]) -> Iterator[TimedFrame]:
    """Yield the frame on screen at each time, the last that starts at or before it; a damaged one has no `frame`.

    Seeks to the key frame before each time, unless decoding on is shorter.

    Args:
        path: the video.
        times_s: seconds from its start, ascending.

    Raises:
        InputError: the file cannot be read as a video, timestamps run backwards, or it ends before a time.
    """
    with open_video(path) as (container, stream):
        info = header(container, stream, path)
        decoder = Decoder(container, stream, path)
        for t_s in times_s:
            found = decoder.at_or_before(info.start_pts + math.floor((t_s + TIME_TOLERANCE_S) / info.time_base))
            pts, frame = found or (info.start_pts, None)
            shown = _timed(pts, frame, info)
            if decoder.is_at_end and shown.t_s + shown.duration_s < t_s - MAX_MISSING_S:
                raise _cut_short(path, shown.t_s + shown.duration_s, info)
            yield shown


def frames_between(path: Path, start_s: float, end_s: float) -> Iterator[tuple[int, float, av.VideoFrame]]:
    """Yield pts, time and frame of the intact frames of a span, ends included.

    Frames are not yet turned into pixels.

    Raises:
        InputError: the file cannot be read as a video.
    """
    with open_video(path) as (container, stream):
        info = header(container, stream, path)
        decoder = Decoder(container, stream, path)
        decoder.at_or_before(info.start_pts + math.floor(max(0.0, start_s) / info.time_base))
        held = (one for one in (decoder.current, decoder.following) if one is not None)
        for pts, frame in chain(held, decoder.frames):
            t_s = info.seconds(pts)
            if t_s > end_s + TIME_TOLERANCE_S:
                return
            if frame is not None and t_s >= start_s - TIME_TOLERANCE_S:
                yield pts, t_s, frame


class Pixels:
    """Converter of frames to arrays, upright as their metadata have it.

    It keeps the scaler, whose set-up costs more than a small frame.

    Args:
        pixel_format: `rgb24` or `gray`.
        width_px: width of the result, as shown; the frame's own if None.
        height_px: height of the result, as shown; the frame's own if None.
        coded_px: width and height before they are turned, in place of the frame's own, which may change midway.
    """

    def __init__(
        self,
        pixel_format: str,
        width_px: int | None = None,
        height_px: int | None = None,
        coded_px: tuple[int, int] | None = None,
    ) -> None:
        self.pixel_format = pixel_format
        self.width_px = width_px
        self.height_px = height_px
        self.coded_px = coded_px
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "..."]:
        """Return pixels of `frame`: [H, W, 3] for `rgb24`, [H, W] for `gray`."""
        turn = orientation_of(frame)
        shown_width_px, shown_height_px = turn.size(*(self.coded_px or (frame.width, frame.height)))
        width_px, height_px = turn.size(self.width_px or shown_width_px, self.height_px or shown_height_px)
        converted = self._reformatter.reformat(frame, width_px, height_px, self.pixel_format, threads=1)
        return turn(converted.to_ndarray())
