"""Re-encoded copies: every frame at its time and in its colours, key frames, the size, and the same bytes."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from egtea_files import TICKS_S, iterate_frames, shift_px, texture, turn, write_video
from gaze_vlm.formats.reencode import reencoded_pts, reencoded_size, reencoder
from gaze_vlm.formats.video import TimedFrame, frames_at, timed_frames
from gaze_vlm.formats.video_header import VideoInfo, video_info


@pytest.fixture(scope="module")
def variable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of one key frame whose frames last 1/24 s or 1/12 s, at random."""
    ticks = np.random.default_rng(0).choice([100, 200], 60).cumsum()
    images = [texture(0)[:96, shift_px(i) :][:, :128] for i in range(60)]
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", images, ticks - ticks[0], gop=250)


def copy(path: Path, to: Path, short_side_px: int, gop: int) -> Path:
    with reencoder(to, video_info(path), short_side_px, gop) as write:
        for frame in timed_frames(path):
            write(frame)
    return to


def test_every_frame_is_there_at_its_time(variable: Path, tmp_path: Path) -> None:
    made = copy(variable, tmp_path / "copy.mp4", 96, 6)
    before, after = list(iterate_frames(variable)), list(iterate_frames(made))
    info = video_info(variable)
    assert [reencoded_pts(info, pts) for pts, _, _ in before] == [pts for pts, _, _ in after]
    np.testing.assert_allclose([t_s for _, t_s, _ in before], [t_s for _, t_s, _ in after])
    for (_, _, image), (pts, _, _) in list(zip(before, after, strict=True))[::7]:
        assert np.abs(frames_at(made, [pts])[0].astype(float) - image).mean() < 4
    with av.open(str(made)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.pts is not None]
    assert [i for i, key in enumerate(keys) if key] == list(range(0, 60, 6))


def test_same_bytes_and_smaller_frames(variable: Path, tmp_path: Path) -> None:
    """Whatever the memory held before."""
    made = set()
    for size in range(1, 9):
        used = [bytearray(b"\xff" * 100_000 * size) for _ in range(5)]
        del used
        made.add(copy(variable, tmp_path / "copy.mp4", 48, 12).read_bytes())
    assert len(made) == 1
    info = video_info(tmp_path / "copy.mp4")
    assert (info.width_px, info.height_px) == (64, 48)


@pytest.mark.parametrize(
    ("size", "short_side_px", "expected"),
    [
        ((1088, 1080), 336, (338, 336)),
        ((1280, 960), 480, (640, 480)),
        ((128, 96), 480, (128, 96)),
        ((97, 33), 33, (96, 32)),
    ],
)
def test_sizes_are_even_and_never_larger(size: tuple[int, int], short_side_px: int, expected: tuple[int, int]) -> None:
    info = VideoInfo(*size, 0, 1.0, 24.0, Fraction(1, TICKS_S), 0)
    width, height = reencoded_size(info, short_side_px)
    assert (width, height) == expected


@pytest.mark.parametrize("time_base", [Fraction(1, 24), Fraction(1001, 30000), Fraction(1, 1000), Fraction(1, 90000)])
def test_other_time_bases(tmp_path: Path, time_base: Fraction) -> None:
    """Timestamps from 7 on, in ticks of many lengths."""
    info = VideoInfo(64, 48, 0, 1.0, 24.0, time_base, 7)
    image = texture(0)[:48, :64]
    step = max(1, round(Fraction(1, 24) / time_base))
    with reencoder(tmp_path / "v.mp4", info, 48, 4) as write:
        for i in range(10):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts = 7 + i * step
            frame.time_base = time_base
            write(_timed(frame))
    times = [t_s for _, t_s, _ in iterate_frames(tmp_path / "v.mp4")]
    np.testing.assert_allclose(times, [float(i * step * time_base) for i in range(10)])


def test_timestamps_that_do_not_ascend_are_an_error(tmp_path: Path) -> None:
    frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
    frame.pts = 5
    info = VideoInfo(64, 48, 0, 1.0, 24.0, Fraction(1, 24), 0)

    def twice() -> None:
        with reencoder(tmp_path / "v.mp4", info, 48, 4) as write:
            write(_timed(frame))
            write(_timed(frame))

    with pytest.raises(ValueError, match=r"v.mp4|Invalid argument"):
        twice()


BARS = np.array([(200, 40, 30), (30, 160, 40), (40, 60, 200), (245, 245, 245), (10, 10, 10), (220, 170, 140)], np.uint8)
IMAGE = np.broadcast_to(BARS.repeat(16, 0), (64, 96, 3))
BT709, BT601, UNTAGGED = 1, 5, 2
LIMITED, FULL = ColorRange.MPEG, ColorRange.JPEG


def bars(path: Path, codec: str, pixels: str, space: int, range_: ColorRange) -> Path:
    """Write bars of some colours, with what states their colour space and range."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        encoder = stream.codec_context
        if space != UNTAGGED:
            encoder.colorspace, encoder.color_range = space, range_
        into = Colorspace.ITU709 if space == BT709 else Colorspace.ITU601
        for pts in range(4):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(IMAGE), format="rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace=into, dst_color_range=range_)
            frame.pts, frame.time_base = pts, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("codec", "pixels", "space", "range_"),
    [
        ("libx264", "yuv420p", UNTAGGED, LIMITED),
        ("libx264", "yuv420p", BT601, LIMITED),
        ("libx264", "yuv420p", BT709, LIMITED),
        ("libx264", "yuvj420p", BT601, FULL),
        ("libx264", "yuvj422p", BT709, FULL),
        ("libx264", "yuv420p10le", BT709, LIMITED),
        ("libvpx-vp9", "yuv420p", BT709, FULL),
        ("libx264rgb", "rgb24", UNTAGGED, FULL),
    ],
)
def test_a_copy_has_the_colours_of_the_original(
    tmp_path: Path, codec: str, pixels: str, space: int, range_: ColorRange, turned: bool
) -> None:
    original = bars(tmp_path / "v.mp4", codec, pixels, space, range_)
    if turned:
        turn(original, (-1, 0, 0, -1))
    made = copy(original, tmp_path / "copy.mp4", 64, 4)
    (_, _, before), *_ = iterate_frames(original)
    (_, _, after), *_ = iterate_frames(made)
    middles = np.s_[32, 8::16]
    shown = IMAGE[middles][::-1] if turned else IMAGE[middles]
    assert np.abs(before[middles].astype(int) - shown).max() <= 5
    assert np.abs(after[middles].astype(int) - before[middles]).max() <= 5


def test_a_copy_has_one_colour_space_where_the_original_has_two(tmp_path: Path) -> None:
    first = bars(tmp_path / "first.mp4", "libx264", "yuv420p", BT709, LIMITED)
    second = bars(tmp_path / "second.mp4", "libx264", "yuvj420p", BT601, FULL)
    info = video_info(first)
    with reencoder(tmp_path / "copy.mp4", info, 64, 4) as write:
        frames = [timed.frame for path in (first, second) for timed in timed_frames(path)]
        for number, frame in enumerate(frames):
            write(TimedFrame(number * round(1 / (24 * info.time_base)), 0.0, 0.0, frame))
    for _, _, image in iterate_frames(tmp_path / "copy.mp4"):
        assert np.abs(image[32, 8::16].astype(int) - IMAGE[32, 8::16]).max() <= 5


def test_what_is_drawn_states_its_colours(tmp_path: Path) -> None:
    """Else a player takes BT.709 for a large picture."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(IMAGE), format="rgb24")
    with reencoder(tmp_path / "v.mp4", VideoInfo(96, 64, 0, 1.0, 24.0, Fraction(1, 24), 0), 64, 4) as write:
        write(TimedFrame(0, 0.0, 0.0, frame))
    (timed,) = timed_frames(tmp_path / "v.mp4")
    assert timed.frame is not None
    assert (timed.frame.colorspace, timed.frame.color_range) == (6, LIMITED)  # 6 is BT.601 too


def _timed(frame: av.VideoFrame) -> TimedFrame:
    return TimedFrame(frame.pts, 0.0, 0.0, frame)
