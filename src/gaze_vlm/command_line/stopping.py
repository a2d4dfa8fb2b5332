"""Commands that a signal stops: they clean up, and say what there is to do."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT  # exit status, as the shell has it
TERMINATED = 128 + signal.SIGTERM
RESUMING = ("demo", "kitchen", "prepare", "caption", "compare")
"""Commands that resume what was begun before."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that drafts are deleted and processes stopped.

    A second one ends this process at once. A handler of somebody else's stays.

    Raises:
        SystemExit: SIGTERM came; its status is `TERMINATED`.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(TERMINATED)


def stopped_as(stop: BaseException) -> tuple[int, str] | None:
    """Return the exit status of a stopped command, and how it was stopped; None if it ended otherwise."""
    if isinstance(stop, KeyboardInterrupt) or isinstance(stop.__context__, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"  # where Lightning would exit with 1
    if isinstance(stop, SystemExit) and stop.code == TERMINATED:
        return TERMINATED, "stopped by SIGTERM"
    return None
