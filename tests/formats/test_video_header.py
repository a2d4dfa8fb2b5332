"""Videos that players show otherwise than a decoder gives them: of a high dynamic range, or interlaced."""

import warnings
from pathlib import Path

import av
import numpy as np
import pytest

from gaze_vlm.formats.video_header import video_info
from gaze_vlm.inference.videos import plan
from gaze_vlm.inference.windows import WindowTimes
from gaze_vlm.look.frames import frames_of_video

BT709, PQ, HLG = 1, 16, 18  # ITU-T H.273
TIMES = WindowTimes(1.0, 1.0, 1.0)


def write(path: Path, transfer: int = BT709, interlaced: bool = False) -> Path:
    """A second of grey, of which the file says how its light is coded, and how its lines."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"x264-params": f"interlaced={int(interlaced)}"})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        stream.codec_context.color_trc = transfer
        for _ in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((48, 32), 128, np.uint8), "yuv420p")
            frame.color_trc = transfer
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("transfer", "name"), [(PQ, "PQ"), (HLG, "HLG")])
def test_a_video_in_hdr_is_warned_of(transfer: int, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", transfer)
    assert video_info(path).hdr == name
    with pytest.warns(UserWarning, match=rf"v\.mp4: its light is coded in HDR \({name}\).* Convert it to SDR"):
        plan({"v.mp4": path}, TIMES)
    with pytest.warns(UserWarning, match=rf"coded in HDR \({name}\)"):
        frames_of_video(path, TIMES, None)


def test_an_interlaced_video_is_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", interlaced=True)
    with pytest.warns(UserWarning, match=r"v\.mp4: its frames are marked as interlaced: .* `ffmpeg -i OLD -vf yadif"):
        plan({"v.mp4": path}, TIMES)


def test_any_other_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4")
    assert video_info(path).hdr == ""
    assert not video_info(path).interlaced
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan({"v.mp4": path}, TIMES)
