"""How far a command is that writes to a log: its last line, said now and then."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gaze_vlm.progress import say

INTERVAL_S = 30.0
TAIL_BYTES = 4096


@contextmanager
def following(log: Path, interval_s: float = INTERVAL_S) -> Iterator[None]:
    """Say the last line of a log, where it is another one, for as long as something writes to it."""
    ended, said = threading.Event(), last_line(log)

    def follow() -> None:
        nonlocal said
        while not ended.wait(interval_s):
            if (line := last_line(log)) != said:
                say(f"{log}: {line}")
                said = line

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def last_line(log: Path) -> str:
    """Return the last line that is whole and not empty; "" where there is none, or the log cannot be read now."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").split("\n")[:-1]
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
