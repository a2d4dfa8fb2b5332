"""A video whose frame size changes midway, as of a phone that is turned: all its frames have the size of the first."""

from pathlib import Path

import av
import numpy as np
import pytest

from egtea_files import texture
from gaze_vlm.formats.reencode import reencoder
from gaze_vlm.formats.video import frames_at, timed_frames
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.inference.windows import WindowTimes, read_windows

EACH = 24  # frames of either size, at 12 Hz


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, written = tmp_path_factory.mktemp("changing"), b""
    for width, height in ((128, 96), (96, 128)):
        with av.open(str(folder / "part.h264"), "w") as container:
            stream = container.add_stream("libx264", rate=12, options={"g": "12", "bf": "0", "threads": "1"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            image = np.ascontiguousarray(texture(0)[:height, :width])
            for _ in range(EACH):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        written += (folder / "part.h264").read_bytes()
    (folder / "whole.h264").write_bytes(written)
    with av.open(str(folder / "whole.h264")) as parts, av.open(str(folder / "v.mkv"), "w") as container:
        source = parts.streams.video[0]
        stream = container.add_stream_from_template(source)
        for number, packet in enumerate(packet for packet in parts.demux(source) if packet.size):
            assert packet.time_base is not None
            packet.pts = packet.dts = int(number / 12 / packet.time_base)
            packet.stream = stream
            container.mux(packet)
    return folder / "v.mkv"


def test_its_frames_have_one_size(changing: Path) -> None:
    frames = list(timed_frames(changing))
    sizes = [(timed.frame.width, timed.frame.height) for timed in frames if timed.frame is not None]
    assert sizes == [(128, 96)] * EACH + [(96, 128)] * EACH
    pts = [timed.pts for timed in frames]
    assert frames_at(changing, [pts[EACH - 1], pts[EACH]]).shape == (2, 96, 128, 3)
    assert frames_at(changing, [pts[-1]]).shape == (1, 96, 128, 3)


def test_its_copy_shows_the_same(changing: Path, tmp_path: Path) -> None:
    pts = [timed.pts for timed in timed_frames(changing)][-2:]
    with reencoder(tmp_path / "copy.mp4", video_info(changing), 96, 12) as write:
        for timed in timed_frames(changing):
            write(timed)
    copied = [timed.pts for timed in timed_frames(tmp_path / "copy.mp4")][-2:]
    difference = frames_at(changing, pts).astype(int) - frames_at(tmp_path / "copy.mp4", copied)
    assert np.abs(difference).mean() < 8


def test_a_window_across_the_change_is_read(changing: Path) -> None:
    (window,) = read_windows(changing, WindowTimes(observation_s=3.0, frame_hz=1.0, stride_s=1.0), [3.0])
    assert window.frames is not None
    assert window.frames.shape == (3, 3, 96, 128)
