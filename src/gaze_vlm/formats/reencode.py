"""A copy of a video that is quick to read at random: h264, short groups of pictures, smaller frames."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from gaze_vlm.errors import InputError
from gaze_vlm.formats.orientation import Orientation, orientation_of
from gaze_vlm.formats.video import Pixels, TimedFrame
from gaze_vlm.formats.video_header import VideoInfo, address

OPTIONS = {
    "preset": "veryfast",
    "crf": "20",
    "bf": "0",
    "threads": "1",  # with more, and with the macroblock tree, the bytes vary
    "mbtree": "0",
}

CONVERTED = ("colorspace", "color_range")
COLOURS = (*CONVERTED, "color_primaries", "color_trc")
OF_RGB: dict[str, int] = {"dst_colorspace": Colorspace.ITU601, "dst_color_range": ColorRange.MPEG}


def reencoded_pts(info: VideoInfo, pts: int) -> int:
    """Return the copy's timestamp of a frame: the same time, counted from 0."""
    return (pts - info.start_pts) * info.time_base.numerator


def reencoded_size(info: VideoInfo, short_side_px: int) -> tuple[int, int]:
    """Return a copy's even width and height in px, at most the original's."""
    scale = min(1.0, short_side_px / min(info.width_px, info.height_px))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in (info.width_px, info.height_px))
    return width, height


@contextmanager
def reencoder(
    path: Path, info: VideoInfo, short_side_px: int, gop: int, faststart: bool = False
) -> Iterator[Callable[[TimedFrame], None]]:
    """Write an mp4 of the frames it is called with, all but damaged ones.

    Its colour space and range are those of the first frame; of RGB, and of what had to be turned, they are BT.601's
    with limited range. The file states them, so it is shown in the colours of the original.

    Args:
        path: the file to write.
        info: of the original, as `video_info` gives it.
        short_side_px: length of the copy's shorter side.
        gop: frames from one key frame to the next.
        faststart: put the index first, so that a browser plays the file while it loads.

    Raises:
        InputError: frames do not ascend in time, or not all of them are in the copy.
    """
    reformatter = VideoReformatter()
    width, height = reencoded_size(info, short_side_px)
    upright = Pixels("rgb24", width, height)
    written: list[int] = []
    ticks_s = info.time_base.denominator
    options = {"video_track_timescale": str(ticks_s)} | ({"movflags": "+faststart"} if faststart else {})
    with av.open(address(path), "w", format="mp4", options=options) as container:
        rate = Fraction(info.average_hz).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options={**OPTIONS, "g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        encoder = stream.codec_context
        encoder.time_base = Fraction(1, ticks_s)

        def write(timed: TimedFrame) -> None:
            if timed.frame is None:
                return
            shown = timed.frame
            if orientation_of(shown) != Orientation():  # the copy is upright, and its metadata turn nothing
                shown = av.VideoFrame.from_ndarray(upright(shown), format="rgb24")
            into = OF_RGB if shown.format.is_rgb else {}
            if written and not into:  # one file has one colour space: that of the frame that opened the encoder
                into = {f"dst_{name}": getattr(encoder, name) for name in CONVERTED if _differ(name, shown, encoder)}
            frame = reformatter.reformat(shown, width, height, "yuv420p", threads=1, **into)
            if not written:
                for name in COLOURS:
                    setattr(encoder, name, getattr(frame, name))
            frame.pts, frame.time_base = reencoded_pts(info, timed.pts), Fraction(1, ticks_s)
            frame.pict_type = 0  # the original's key frames are not the copy's
            container.mux(stream.encode(frame))
            written.append(frame.pts)

        yield write
        container.mux(stream.encode(None))
    if _timestamps(path) != written:
        raise InputError(f"{path}: the copy has not the frames of the original; convert the original to mp4 first")


def _differ(name: str, frame: av.VideoFrame, encoder: av.VideoCodecContext) -> bool:
    return int(getattr(frame, name)) != int(getattr(encoder, name))


def _timestamps(path: Path) -> list[int]:
    with av.open(address(path)) as container:
        return [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
