"""Windows of videos: their frames are those on screen at their times, whatever the timestamps and the metadata."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from egtea_files import TICKS_S, iterate_frames, shift_px, spoil, texture, turn, write_video
from gaze_vlm.errors import InputError
from gaze_vlm.formats import decoder
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.inference.windows import WindowTimes, read_windows

FRAMES = 150


def images(count: int = FRAMES) -> list[np.ndarray]:
    whole = texture(0)
    return [whole[:96, shift_px(i) :][:, :128] for i in range(count)]


@pytest.fixture(scope="module")
def variable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of 1/24 s or 1/12 s, at random, shown turned by a quarter."""
    ticks = np.random.default_rng(0).choice([100, 200], FRAMES).cumsum()
    path = write_video(tmp_path_factory.mktemp("video") / "v.mp4", images(), ticks - ticks[0], gop=250)
    return turn(path, (0, 1, -1, 0))


def on_screen(path: Path, t_s: float) -> np.ndarray:
    """By decoding all of the video."""
    return [image for _, start_s, image in iterate_frames(path) if start_s <= t_s + 1e-6][-1]


@pytest.mark.parametrize("stride_s", [0.5, 0.7, 3.0])
def test_frames_are_those_on_screen(variable: Path, stride_s: float) -> None:
    times = WindowTimes(observation_s=2.0, stride_s=stride_s, frame_hz=2.0)
    duration_s = video_info(variable).duration_s
    ends_s = times.ends_s(duration_s)
    windows = list(read_windows(variable, times, ends_s))
    assert [window.end_s for window in windows] == ends_s
    assert ends_s[0] == 2.0
    assert duration_s - 0.5 <= ends_s[-1] <= duration_s + 1e-6
    for window in windows:
        assert window.start_s == pytest.approx(window.end_s - 2)
        assert window.frame_times_s == [0.5, 1.0, 1.5, 2.0]
        for t_s, frame in zip(window.frame_times_s, window.frames, strict=True):
            assert tuple(frame.shape) == (3, 128, 96)  # upright
            expected = on_screen(variable, window.start_s + t_s)
            np.testing.assert_array_equal(frame.permute(1, 2, 0).numpy(), expected)


def test_windows_of_a_container_that_states_few_times(tmp_path: Path) -> None:
    """A program stream: after a seek its packets would have other times."""
    path = tmp_path / "v.mpg"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg1video", rate=24, options={"g": "15", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(200):
            image = np.full((48, 64, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    times = WindowTimes(observation_s=1.0, stride_s=1.0, frame_hz=1.0)
    for end_s in np.arange(2.0, 8.0, 0.5).tolist():
        (window,) = read_windows(path, times, [end_s])
        np.testing.assert_array_equal(window.frames[0].permute(1, 2, 0).numpy(), on_screen(path, end_s))


def test_some_windows_alone_are_as_among_all(variable: Path) -> None:
    times = WindowTimes(observation_s=1.0, stride_s=1.0, frame_hz=3.0)
    ends_s = times.ends_s(video_info(variable).duration_s)
    every = list(read_windows(variable, times, ends_s, timeout_s=60))
    some = list(read_windows(variable, times, ends_s[4:6]))
    assert [window.pts for window in some] == [window.pts for window in every[4:6]]
    np.testing.assert_array_equal(some[1].frames, every[5].frames)


def test_the_last_window_ends_with_the_video() -> None:
    times = WindowTimes(observation_s=5.0, stride_s=5.0, frame_hz=1.0)
    assert times.ends_s(12.3) == [5.0, 10.0, 12.3]
    assert times.ends_s(10.9) == [5.0, 10.0]  # no more than the time between two frames is left
    assert times.ends_s(5.0) == [5.0]
    assert times.ends_s(4.9) == []
    assert WindowTimes(4.0, 1.0, 1.0).ends_s(6.5) == [4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    ("observation_s", "stride_s", "frame_hz", "said"),
    [
        (2.5, 1.0, 1.0, r"observation_s is 2.5; expected a multiple of .* 1 s"),
        (2.0, 1e-9, 1.0, r"stride_s is 1e-09; expected 0.001 or more"),
        (2.0, 1.0, 1e300, r"observation_s 2 at frame_hz 1e\+300 makes more than 10000 frames: give a smaller one"),
        (1e300, 1.0, 1e300, r"makes more than 10000 frames"),
    ],
)
def test_times_that_cannot_be_used_are_refused(
    observation_s: float, stride_s: float, frame_hz: float, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        WindowTimes(observation_s, stride_s, frame_hz)


def test_a_window_with_a_damaged_frame_has_none(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", images(144), gop=12)
    spoil(path, 56)  # at 2.33 s; the decoder had some before it held back, and the next key frame is at 2.5 s
    times = WindowTimes(observation_s=0.5, stride_s=0.25, frame_hz=4.0)
    windows = list(read_windows(path, times, times.ends_s(6.0)))
    assert [window.end_s for window in windows if window.frames is None] == [2.25, 2.5]


def test_a_file_that_is_cut_short_gives_what_it_has(tmp_path: Path) -> None:
    path, front = write_video(tmp_path / "v.mp4", images(144), gop=12), tmp_path / "front.mp4"
    with av.open(str(path)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = front.read_bytes()
    front.write_bytes(content[: len(content) * 2 // 3])
    times = WindowTimes(observation_s=1.0, stride_s=1.0, frame_hz=1.0)
    windows = read_windows(front, times, times.ends_s(6.0))
    assert [next(windows).end_s for _ in range(2)] == [1.0, 2.0]
    with pytest.raises(InputError, match=r"front.mp4: (cut short|cannot be decoded)"):
        list(windows)


def test_timestamps_that_run_backwards_are_refused(variable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "decoded", lambda *_: iter([(0, None), (200, None), (100, None), (9999, None)]))
    times = WindowTimes(observation_s=1.0, stride_s=1.0, frame_hz=1.0)
    with pytest.raises(
        InputError,
        match=r"v.mp4: timestamps run backwards at .* s; write the video anew",
    ):
        list(read_windows(variable, times, [1.0]))


def test_a_file_without_a_stated_length_is_measured(tmp_path: Path) -> None:
    """As browsers record: a live matroska, whose header cannot know it."""
    path = tmp_path / "live.mkv"
    with av.open(str(path), "w", format="matroska", options={"live": "1"}) as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_S)
        for number, image in enumerate(images(48)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number * 100, Fraction(1, TICKS_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert video_info(path).duration_s == pytest.approx(2.0, abs=0.05)
