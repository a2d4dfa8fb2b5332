"""What runs commands for a comparison, here or elsewhere: stopped with it by the same signals."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Self

from gaze_vlm.processes.warmed import SIGNALS


class Launcher(ABC):
    """Runs commands from several threads; within `with`, a signal reaches them all and ends the comparison.

    One that is ignored stays so: under `nohup`, that of a terminal that closes.
    """

    def __init__(self) -> None:
        self.stopped_by: int | None = None
        self.handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        self.handlers = {number: signal.signal(number, self._stop) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    @abstractmethod
    def __call__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> int:
        """Run a command with its output appended to the log; its exit status."""

    @abstractmethod
    def stop(self, number: int) -> None:
        """Stop all commands as a signal asks; `stopped_by` is that of before."""

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stop(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)
