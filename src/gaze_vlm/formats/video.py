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
from gaze_vlm.formats.orientation import orientation_of
from gaze_vlm.formats.video_header import MAX_MISSING_S, VideoInfo, hangs, header, open_video
from gaze_vlm.time_limit import each_within, within

TIME_TOLERANCE_S = 1e-6  # below any frame duration, above the rounding of a float of seconds
SEEK_S = 2.0  # without an index of key frames: decode on over gaps up to this


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
            t_s = info.seconds(pts)
            ticks = 0 if frame is None else frame.duration or 0
            duration_s = float(ticks * info.time_base) or 1 / info.average_hz
            end_s = t_s + duration_s
            yield TimedFrame(pts, t_s, duration_s, frame, float(info.time_base))
        if end_s < info.duration_s - MAX_MISSING_S:
            raise InputError(
                f"{path}: cut short, {end_s:.1f} s of {info.duration_s:.1f} s can be decoded; copy it again"
            )


def in_order(
    frames: Iterable[tuple[int, av.VideoFrame | None]], info: VideoInfo, path: Path
) -> Iterator[tuple[int, av.VideoFrame | None]]:
    """Pass frames on as long as their timestamps rise.

    Raises:
        InputError: they run backwards.
    """
    last_pts: float = -math.inf
    for pts, frame in frames:
        if pts <= last_pts:
            raise InputError(f"{path}: timestamps run backwards at {info.seconds(pts):.2f} s; convert the video again")
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
        width_px: width of the result; the video's own if None.
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
    pixels = Pixels("rgb24", width_px, height_px)
    images = []
    with open_video(path) as (container, stream):
        decoder = _Decoder(container, stream, path)
        for target in pts:
            frame = decoder.at_or_before(int(target))
            if frame is None or frame.pts != target:
                raise InputError(f"{path}: no frame with pts {target}; was the video replaced? Prepare it again")
            images.append(pixels(frame))
    return np.stack(images)


def frames_between(path: Path, start_s: float, end_s: float) -> Iterator[tuple[int, float, av.VideoFrame]]:
    """Yield pts, time and frame of the intact frames of a span, ends included.

    Frames are not yet turned into pixels.

    Raises:
        InputError: the file cannot be read as a video.
    """
    with open_video(path) as (container, stream):
        info = header(container, stream, path)
        decoder = _Decoder(container, stream, path)
        decoder.at_or_before(info.start_pts + math.floor(max(0.0, start_s) / info.time_base))
        held = (frame for frame in (decoder.current, decoder.following) if frame is not None)
        for frame in chain(held, decoder.frames):
            pts = _pts(frame, path)
            t_s = info.seconds(pts)
            if t_s > end_s + TIME_TOLERANCE_S:
                return
            if t_s >= start_s - TIME_TOLERANCE_S:
                yield pts, t_s, frame


class Pixels:
    """Converter of frames to arrays, upright as their metadata have it.

    It keeps the scaler, whose set-up costs more than a small frame.

    Args:
        pixel_format: `rgb24` or `gray`.
        width_px: width of the result, as shown; the frame's own if None.
        height_px: height of the result, as shown; the frame's own if None.
    """

    def __init__(self, pixel_format: str, width_px: int | None = None, height_px: int | None = None) -> None:
        self.pixel_format = pixel_format
        self.width_px = width_px
        self.height_px = height_px
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "..."]:
        """Return pixels of `frame`: [H, W, 3] for `rgb24`, [H, W] for `gray`."""
        turn = orientation_of(frame)
        shown_width_px, shown_height_px = turn.size(frame.width, frame.height)
        width_px, height_px = turn.size(self.width_px or shown_width_px, self.height_px or shown_height_px)
        converted = self._reformatter.reformat(frame, width_px, height_px, self.pixel_format, threads=1)
        return turn(converted.to_ndarray())


def decoded(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path
) -> Iterator[tuple[int, av.VideoFrame | None]]:
    """Yield frames from where `container` stands, by pts; None if damaged.

    Damaged are a packet that the decoder refuses, a frame that it marks as corrupt, and all that it gives from there to
    the next key frame, for they are built upon it; a few frames that it had held back are lost with them. What it takes
    for intact, wrong as it may look, cannot be detected.
    """
    expected: set[int] = set()  # frames that packets have announced, for a decoder may drop some without a word
    broken, given_pts, resume_pts = False, -math.inf, -math.inf
    for packet in container.demux(stream):
        if packet.pts is not None and not packet.is_discard:
            expected.add(packet.pts)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            broken, resume_pts = True, max(resume_pts, -math.inf if packet.pts is None else packet.pts)
            continue
        for frame in frames:
            pts = _pts(frame, path)
            # A key frame from before the damage may still have been on its way out.
            if frame.is_corrupt or (broken and not (frame.key_frame and pts > resume_pts)):
                broken = True
                continue
            if broken:
                yield from ((lost, None) for lost in sorted(expected) if given_pts < lost < pts)
            yield pts, frame
            broken, given_pts = False, pts
            expected = {later for later in expected if later > pts}
    if broken:
        yield from ((lost, None) for lost in sorted(expected) if given_pts < lost)


class _Decoder:
    """Forward decoding with seeks.

    It holds the last sound frame given and, once it is known, the one after it.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> None:
        self.container, self.stream, self.path = container, stream, path
        self.frames = self._intact()
        self.current: av.VideoFrame | None = None
        self.following: av.VideoFrame | None = None
        self.reach_pts = int(SEEK_S / (stream.time_base or 1))

    def at_or_before(self, target: int) -> av.VideoFrame | None:
        """The last frame whose pts is at most `target`, None if there is none; targets must ascend."""
        if self._seek_is_shorter(target):
            self._seek(target)
        while self.current is None or self.current.pts != target:  # an exact hit needs no look ahead
            if self.following is None:
                self.following = next(self.frames, None)
            if self.following is None or _pts(self.following, self.path) > target:
                break
            self.current, self.following = self.following, None
        return self.current

    def _seek_is_shorter(self, target: int) -> bool:
        position = (self.stream.start_time or 0) if self.current is None else _pts(self.current, self.path)
        index = self.stream.index_entries
        key = index.search_timestamp(target, backward=True)
        if key >= 0:
            return index[key].timestamp > position
        return target - position > self.reach_pts

    def _seek(self, target: int) -> None:
        """To a key frame at or before `target`; further back where a container lands late."""
        start = self.stream.start_time or 0
        for offset in (target, max(start, target - self.reach_pts), start):
            self.container.seek(offset, stream=self.stream, backward=True)
            self.frames = self._intact()
            self.current, self.following = None, next(self.frames, None)
            if self.following is not None and _pts(self.following, self.path) <= target:
                return

    def _intact(self) -> Iterator[av.VideoFrame]:
        return (frame for _, frame in decoded(self.container, self.stream, self.path) if frame is not None)


def _pts(frame: av.VideoFrame, path: Path) -> int:
    if frame.pts is None:
        raise InputError(f"{path}: a frame without a presentation timestamp; convert the video to mp4")
    return frame.pts
