"""Waiting for what other processes do."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_until(condition: Callable[[], bool], log: Path | None = None, seconds: float = 120) -> None:
    """Wait until a condition holds; where it takes too long, fail with the end of a log."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "" if log is None else log.read_text()[-3000:]
        time.sleep(0.05)
