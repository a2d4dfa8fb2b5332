"""What the kitchen's file formats have in common: notes on a session, and its video."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from jaxtyping import UInt8

from gaze_vlm.formats.video_header import address
from gaze_vlm.kitchen.scene import FRAME_HEIGHT_PX, FRAME_WIDTH_PX
from gaze_vlm.kitchen.session import Session
from gaze_vlm.output import draft_of, writing


class SessionNotes(NamedTuple):
    """What the files of a whole data set say of one session.

    `actions`: (start_s, end_s, verb label, noun label) of each action. `occluders`: (start_s, end_s) in which something
    passes in front of the camera.
    """

    video_id: str
    frame_count: int
    actions: tuple[tuple[float, float, str, str], ...]
    occluders: tuple[tuple[float, float], ...]


def write_video(path: Path, session: Session, codec: str, options: Mapping[str, str]) -> None:
    """Write all frames of the session, 128×96 px, at the session's rate."""
    scene = session.scene
    write_frames(path, map(scene.frame, range(scene.frame_count)), scene.rates.frame_hz, codec, options)


def write_frames(
    path: Path,
    frames: Iterable[UInt8[np.ndarray, "96 128 3"]],
    frame_hz: int,
    codec: str,
    options: Mapping[str, str],
) -> None:
    """Encode RGB frames into an mp4 file, on one thread."""
    with draft_of(path) as draft, writing(path), av.open(address(draft), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=frame_hz, options=dict(options))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = FRAME_WIDTH_PX, FRAME_HEIGHT_PX, "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_numpy_buffer(frame, format="rgb24")))
        container.mux(stream.encode(None))
