"""TensorBoard's event files of a run: written at once, without a thread, and continued by a resumed training."""

import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import text

from gaze_vlm.output import writing


class EventFiles(Logger):
    """Log to TensorBoard, which need not be installed.

    Every row is on disk before the next step: a training that is killed loses none. Lightning's own logger writes from
    a thread, and imports TensorBoard where it is installed, which is slow.

    Args:
        folder: gets one file for each time that the training was started.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.resumed_step: int | None = None
        self._writer: EventsWriter | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def version(self) -> str:
        return ""

    def resume_at(self, step: int) -> None:
        """Let what is written from now on take the place of what earlier files have of a step and those after it."""
        self.resumed_step = step

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        values = [Summary.Value(tag=name, simple_value=float(value)) for name, value in metrics.items()]
        self._write(step, summary=Summary(value=values))

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Write nothing: the run directory has config.yaml."""

    @rank_zero_only
    def log_picture(self, name: str, jpeg: bytes, size: tuple[int, int], caption: str, step: int) -> None:
        """Write a picture and its caption.

        Args:
            name: below which TensorBoard shows both.
            jpeg: the picture.
            size: its height and width in pixels.
            caption: Markdown.
            step: of the optimiser.
        """
        height, width = size
        image = Summary.Image(encoded_image_string=jpeg, height=height, width=width, colorspace=3)
        self._write(step, summary=Summary(value=[Summary.Value(tag=name, image=image)]))
        self._write(step, summary=text(name, caption))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._writer is not None:
            with suppress(OSError):  # of what was refused, and reported, when it was written
                self._writer.close()
            self._writer = None

    def _write(self, step: int | None, **content: Any) -> None:
        with writing(self.folder):
            if self._writer is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                number = len([*self.folder.iterdir()])  # two that begin within a second have the same name else
                self._writer = EventsWriter(str(self.folder / "events"), f".{number}")
            if self.resumed_step is not None:
                start = SessionLog(status=SessionLog.START)
                self._writer.write_event(Event(wall_time=time.time(), step=self.resumed_step, session_log=start))
                self.resumed_step = None
            self._writer.write_event(Event(wall_time=time.time(), step=step, **content))
            self._writer.flush()
