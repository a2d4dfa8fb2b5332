"""Containers with more than one stream: sound that outlasts the picture, cover pictures, and two videos."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from egtea_files import iterate_frames, texture
from gaze_vlm.formats.video import frames_at, timed_frames
from gaze_vlm.formats.video_header import open_video, video_info
from gaze_vlm.inference.videos import plan
from gaze_vlm.inference.windows import WindowTimes
from gaze_vlm.look.frames import frames_of_video
from gaze_vlm.preparation.frame_sampling import sample_frames

SECONDS = 3


def write(path: Path, sound_s: float = 0, cover: str | None = None, b_frames: int = 0) -> Path:
    """A video of 3 s and 64 × 48 px; `cover` is `first`, a stream of one picture before it, or `marked`, after it."""
    codec = "mpeg4" if path.suffix == ".avi" else "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    with av.open(str(path), "w") as container:
        streams = {}
        for name in ("cover", "video") if cover == "first" else ("video", "cover") if cover else ("video",):
            stream = container.add_stream("mjpeg" if name == "cover" else codec, rate=24)
            stream.width, stream.height = (64, 48) if name == "video" else (32, 32)
            stream.pix_fmt = "yuvj420p" if name == "cover" else "yuv420p"
            if name == "cover" and cover == "marked":
                stream.disposition = Disposition.attached_pic
            if name == "video":
                stream.codec_context.options = {"bf": str(b_frames), "g": "12"}
            streams[name] = stream
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono") if sound_s else None
        for name, stream in streams.items():
            size = (stream.height, stream.width)
            for i in range(24 * SECONDS if name == "video" else 1):
                image = np.ascontiguousarray(texture(0)[: size[0], i : i + size[1]])
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 24)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if audio is not None:
            for start in range(0, int(8000 * sound_s), 800):
                sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
                sound.pts, sound.sample_rate, sound.time_base = start, 8000, Fraction(1, 8000)
                container.mux(audio.encode(sound))
            container.mux(audio.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mov", "avi"])
def test_sound_that_outlasts_the_picture(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"v.{suffix}", sound_s=5)
    assert video_info(path).duration_s == pytest.approx(SECONDS, abs=0.05)
    assert len(list(timed_frames(path))) == 24 * SECONDS


def test_no_stream_states_its_own_duration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packets tell; a file that is cut short is still found."""
    monkeypatch.setattr("gaze_vlm.formats.video_header.own_duration_s", lambda stream: None)
    path = write(tmp_path / "v.mkv", sound_s=5)
    assert video_info(path).duration_s == pytest.approx(SECONDS, abs=0.05)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ValueError, match=r"v\.mkv: cut short, 3\.\d s of 5\.0 s"):
        list(timed_frames(path))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_a_clock_of_milliseconds_loses_no_sampled_frame(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"v.{suffix}")
    assert [frame.t_s for frame in sample_frames(path, timed_frames(path), 1.0, 0.2)] == [1, 2, 3]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "avi"])
def test_single_frames_of_every_container(tmp_path: Path, suffix: str) -> None:
    """Frames start at 0 and are found by their timestamps, however the container counts them."""
    path = write(tmp_path / f"v.{suffix}")
    frames = list(iterate_frames(path))
    assert frames[0][1] == 0
    np.testing.assert_allclose([t_s for _, t_s, _ in frames], np.arange(24 * SECONDS) / 24, atol=0.001)
    chosen = frames[3:70:13]
    np.testing.assert_array_equal(frames_at(path, [pts for pts, _, _ in chosen]), [image for _, _, image in chosen])


def test_frames_of_avi_that_stand_in_another_order(tmp_path: Path) -> None:
    """avi has no times of presentation; with frames that refer to later ones its times begin late."""
    path = write(tmp_path / "v.avi", b_frames=2)
    frames = list(iterate_frames(path))
    assert (len(frames), frames[0][1]) == (24 * SECONDS, 0)
    np.testing.assert_array_equal(frames_at(path, [frames[k][0] for k in (13, 40)]), [frames[k][2] for k in (13, 40)])


@pytest.mark.parametrize("cover", ["first", "marked"])
def test_a_cover_picture_is_skipped(tmp_path: Path, cover: str) -> None:
    path = write(tmp_path / ("v.mp4" if cover == "marked" else "v.mkv"), cover=cover)
    with open_video(path) as (container, stream):
        assert len(container.streams.video) == 2
        assert stream.codec_context.width == 64
    assert video_info(path).duration_s == pytest.approx(SECONDS, abs=0.05)
    assert len(list(iterate_frames(path))) == 24 * SECONDS


def test_a_cover_picture_alone_is_no_video(tmp_path: Path) -> None:
    """As in a file of music."""
    path = write(tmp_path / "v.mp4", cover="marked")
    with av.open(str(path)) as container:
        pictures = [bool(stream.disposition & Disposition.attached_pic) for stream in container.streams.video]
        assert pictures == [False, True]
        alone = tmp_path / "alone.mp4"
        with av.open(str(alone), "w") as target:
            copied = target.add_stream_from_template(container.streams.video[1])
            copied.disposition = Disposition.attached_pic
            for packet in container.demux(container.streams.video[1]):
                if packet.size:
                    packet.stream = copied
                    target.mux(packet)
    with pytest.raises(ValueError, match=r"alone\.mp4: no video stream"):
        video_info(alone)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_of_two_videos_is_warned_of(tmp_path: Path, suffix: str) -> None:
    """As of a scene camera and of an eye's: the first is taken, whichever that is."""
    path = tmp_path / f"v.{suffix}"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=24) for _ in range(2)]
        for stream, side_px in zip(streams, (32, 64), strict=True):
            stream.width, stream.height, stream.pix_fmt = side_px, side_px, "yuv420p"
        for i in range(24 * SECONDS):
            for stream in streams:
                image = texture(0)[: stream.height, i : i + stream.width]
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 24)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    times = WindowTimes(1.0, 1.0, 1.0)
    with pytest.warns(UserWarning, match=rf"v\.{suffix}: it holds 2 videos, and the first is taken, of 32×32 px"):
        plan({path.name: path}, times)
    with pytest.warns(UserWarning, match="it holds 2 videos"):
        frames_of_video(path, times, None)
