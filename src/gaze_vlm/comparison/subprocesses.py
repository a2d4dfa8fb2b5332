"""Commands that a comparison starts: they end with it."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Subprocesses:
    """Runs commands, from several threads; within `with`, a signal to this process goes to all that is under way.

    Each command has a process group of its own, so that it gets a signal once, with all that it started. A second
    signal kills.
    """

    def __init__(self) -> None:
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopped_by: int | None = None
        self.handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.handlers = {number: signal.signal(number, self._stop) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def __call__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> int:
        """Run a command with its output appended to the log; its exit status."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        with log.open("a", encoding="utf-8") as stream:
            process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self.running.add(process)
        if self.stopped_by is not None:  # while it started
            _send(process, self.stopped_by)
        try:
            return process.wait()
        finally:
            self.running.discard(process)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        sent = number if self.stopped_by is None else signal.SIGKILL
        self.stopped_by = number
        for process in list(self.running):
            _send(process, sent)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


def _send(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.killpg(process.pid, number)
