"""What the kitchen's file formats have in common: complete files, videos, and their functions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import av

from gaze_vlm.kitchen.scene import FRAME_HEIGHT_PX, FRAME_WIDTH_PX, Rates
from gaze_vlm.kitchen.session import Session
from gaze_vlm.output import writing


class SessionNotes(NamedTuple):
    """What the files of a whole data set say of one session.

    `actions`: (start_s, end_s, verb label, noun label) of each action. `occluders`: (start_s, end_s) in which something
    passes in front of the camera.
    """

    video_id: str
    frame_count: int
    actions: tuple[tuple[float, float, str, str], ...]
    occluders: tuple[tuple[float, float], ...]


class FileFormat(Protocol):
    """How a data set lays out its files."""

    @property
    def rates(self) -> Rates:
        """Of its camera and of its eye tracker."""
        ...

    def video_id(self, session: Session) -> str:
        """What the data set calls the session."""
        ...

    def write_session(self, root: Path, session: Session) -> None:
        """Video and gaze; a video that is there is complete, and left as it is."""
        ...

    def write_index(self, root: Path, sessions: Sequence[SessionNotes]) -> None:
        """The files that tell of all sessions."""
        ...


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A path to write to instead of `path`; it takes the place of `path` once it is written completely."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)


def write_text(path: Path, text: str) -> None:
    with atomically(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_video(path: Path, session: Session, codec: str, options: Mapping[str, str]) -> None:
    """All frames of the session, 128×96 px, at the session's rate."""
    with atomically(path) as partial, av.open(str(partial), "w") as container:
        stream = container.add_stream(codec, rate=session.scene.rates.frame_hz, options=dict(options))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = FRAME_WIDTH_PX, FRAME_HEIGHT_PX, "yuv420p"
        stream.thread_count = 1
        for index in range(session.frame_count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(session.frame(index), format="rgb24")))
        container.mux(stream.encode(None))
