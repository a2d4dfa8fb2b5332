"""What a video file's header states, and which of its streams is the video."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.stream import Disposition, Stream

from gaze_vlm.errors import InputError
from gaze_vlm.formats.orientation import Orientation, orientation_of
from gaze_vlm.time_limit import hangs, within

TAGGED_DURATION = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # of a stream of matroska: 00:00:12.000000000
MOST_STRETCHED = 4.0  # beyond, a pixel's aspect is damage
HDR = {16: "PQ", 18: "HLG"}  # by their numbers as transfer characteristics, in ITU-T H.273
READER_TIMEOUT_S = 60.0  # that the reader of a data set waits for a header
MAX_MISSING_S = 0.5  # a video that ends this much before the end that its header states is cut short


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header states; `start_pts` is t = 0.

    Players count from the start of the file, `offset_s` before that: sound may begin earlier. `frames` is 0 where the
    container does not state it. `header` gives the coded size, `video_info` that of the frames turned as players show
    them. Where `pixel_aspect`, a pixel's width over its height, is not 1, players show them that much wider. `hdr`
    names the curve of a high dynamic range; it is empty otherwise. Frames that are `interlaced` hold two moments, line
    by line: `video_info` looks at the first. `streams` counts what may be the video: the first of them is taken.
    """

    width_px: int
    height_px: int
    frames: int
    duration_s: float
    average_hz: float
    time_base: Fraction
    start_pts: int
    offset_s: float = 0.0
    pixel_aspect: float = 1.0
    hdr: str = ""
    interlaced: bool = False
    streams: int = 1

    @property
    def shown_px(self) -> tuple[int, int]:
        """Width and height at which players show the frames, in square pixels."""
        return max(1, round(self.width_px * self.pixel_aspect)), self.height_px

    def seconds(self, pts: int) -> float:
        """Return the time of a presentation timestamp from the video's start."""
        return float((pts - self.start_pts) * self.time_base)


def address(path: Path) -> str:
    """Return how FFmpeg opens a file of any name: `10:30.mp4` alone would be of a protocol called 10."""
    return f"file:{path}"


@contextmanager
def open_video(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open a container and its video stream, set to decode with one thread.

    It is the first of `possible_videos`.

    Raises:
        InputError: the file is missing, empty or damaged (also while it is decoded), or has no video.
    """
    try:
        with av.open(address(path)) as container:
            streams = possible_videos(container)
            if not streams:
                raise InputError(f"{path}: no video stream; copy the file again or delete it")
            stream = streams[0]
            if stream.codec_context is None:  # FFmpeg has no decoder for what the header names
                raise InputError(f"{path}: its codec is unknown; copy the file again, or convert it to H.264")
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = "NONE"
            yield container, stream
    except av.FFmpegError as error:
        raise InputError(
            f"{path}: cannot be decoded ({error.strerror}); is it empty or cut short? Copy it again"
        ) from error


def possible_videos(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Return a file's video streams without its cover pictures.

    These are marked as such, or last less than half as long as another.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    lengths_s = [own_duration_s(stream) or 0.0 for stream in streams]
    return [stream for stream, length_s in zip(streams, lengths_s, strict=True) if 2 * length_s >= max(lengths_s)]


def video_info(path: Path, timeout_s: float | None = None) -> VideoInfo:
    """Read the header of `path`, with the size of its frames turned as players show them.

    Args:
        path: the video.
        timeout_s: seconds that it may take; None waits for ever.

    Raises:
        InputError: the file cannot be read as a video, or not in time.
    """
    return within(timeout_s, hangs(path, timeout_s), partial(_video_info, path))


def _video_info(path: Path) -> VideoInfo:
    with open_video(path) as (container, stream):
        info = header(container, stream, path)
        frame = _first_frame(container, stream)
    try:
        turn = orientation_of(frame) if frame else Orientation()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    width_px, height_px = turn.size(info.width_px, info.height_px)
    pixel_aspect = 1 / info.pixel_aspect if turn.swapped else info.pixel_aspect
    interlaced = frame is not None and frame.interlaced_frame
    return replace(info, width_px=width_px, height_px=height_px, pixel_aspect=pixel_aspect, interlaced=interlaced)


def header(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> VideoInfo:
    """Read the header, with the coded size; nothing is decoded.

    Raises:
        InputError: the header has no time base or frame rate.
    """
    if stream.time_base is None or not stream.average_rate:
        raise InputError(f"{path}: no time base or frame rate in its header; convert it to mp4")
    start_s = float((stream.start_time or 0) * stream.time_base)
    aspect = float(stream.sample_aspect_ratio or 1)
    return VideoInfo(
        width_px=stream.codec_context.width,
        height_px=stream.codec_context.height,
        frames=stream.frames,
        duration_s=_duration_s(container, stream, path),
        average_hz=float(stream.average_rate),
        time_base=stream.time_base,
        start_pts=_first_pts(path, stream) if container.format.name == "avi" else stream.start_time or 0,
        offset_s=max(0.0, start_s - (container.start_time or 0) / av.time_base),
        pixel_aspect=aspect if 1 / MOST_STRETCHED <= aspect <= MOST_STRETCHED else 1.0,
        hdr=HDR.get(int(stream.codec_context.color_trc), ""),
        streams=len(possible_videos(container)),
    )


def warn_of_header(path: Path, info: VideoInfo) -> None:
    """Warn of a file of several videos, of which one is taken, and of frames that a model does not see as players do.

    Those of a high dynamic range, which nothing here maps, and interlaced ones.
    """
    if info.streams > 1:
        warnings.warn(
            f"{path}: it holds {info.streams} videos, and the first is taken, of {info.width_px}×{info.height_px} px. "
            "If another is the scene camera's, write that alone, as by `ffmpeg -i OLD -map 0:v:1 -c copy NEW.mp4`",
            stacklevel=2,
        )
    if info.hdr:
        warnings.warn(
            f"{path}: its light is coded in HDR ({info.hdr}), which nothing here maps to a screen's: a model sees it "
            "pale and dark. Convert it to SDR (BT.709) first, as FFmpeg's filters zscale and tonemap do",
            stacklevel=2,
        )
    if info.interlaced:
        warnings.warn(
            f"{path}: its frames are marked as interlaced: what moves has a comb's edges where every second line is of "
            "another moment. Make whole frames first, as by `ffmpeg -i OLD -vf yadif NEW.mp4`",
            stacklevel=2,
        )


def own_duration_s(stream: Stream) -> float | None:
    """Return a stream's own duration, which sound beside it may outlast.

    None where the file states only the duration of the whole.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    tagged = (TAGGED_DURATION.match(value) for name, value in stream.metadata.items() if name.startswith("DURATION"))
    if (found := next(filter(None, tagged), None)) is None:
        return None
    hours, minutes, seconds = found.groups()
    end_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)  # from the start of the file
    return max(0.0, end_s - float((stream.start_time or 0) * (stream.time_base or 0)))


def _duration_s(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> float:
    if (own_s := own_duration_s(stream)) is not None:
        return own_s
    whole_s = (container.duration or 0) / av.time_base
    if len(container.streams) == 1 and whole_s:
        return whole_s
    # Another stream may be the longest, or no length is stated: look where the packets end. Where none reaches the end
    # that is stated, the file is cut short.
    ends_s: dict[int, float] = {}
    with av.open(address(path)) as again:
        for packet in again.demux():
            if packet.pts is not None and packet.time_base is not None:
                end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                ends_s[packet.stream_index] = max(end_s, ends_s.get(packet.stream_index, 0.0))
    if max(ends_s.values(), default=0.0) < whole_s - MAX_MISSING_S or stream.index not in ends_s:
        return whole_s
    return max(0.0, ends_s[stream.index] - float((stream.start_time or 0) * (stream.time_base or 0)))


def _first_pts(path: Path, stream: av.VideoStream) -> int:
    """Of a file of avi, which states no times of presentation: those that are made up for it begin late."""
    with av.open(address(path)) as again:
        packets = (packet.pts for packet in again.demux(again.streams[stream.index]))
        return next((pts for pts in packets if pts is not None), 0)


def _first_frame(container: av.container.InputContainer, stream: av.VideoStream) -> av.VideoFrame | None:
    """The first that can be decoded: the others are turned, and interlaced, alike."""
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        if frames:
            return frames[0]
    return None
