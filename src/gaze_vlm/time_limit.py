"""Calls that may never return, such as a decoder's: waited for so long, then left behind in their thread."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from gaze_vlm.errors import TimeLimitError

Result = TypeVar("Result")
Item = TypeVar("Item")


def within(limit_s: float | None, late: str, function: Callable[[], Result]) -> Result:
    """Return what a function returns, or raise what it raises.

    It runs in a thread of its own, where it is left behind when its time is up: no process waits for that at its end.

    Args:
        limit_s: seconds that it may take; None calls it as it is.
        late: what to say of one that takes longer.
        function: should release the GIL while it waits.

    Raises:
        TimeLimitError: it takes longer.
    """
    return next(each_within(limit_s, late, (function() for _ in range(1))))


def each_within(limit_s: float | None, late: str, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items of an iterator, each of which may take some seconds.

    See `within`. What is done with an item between two does not count.

    Raises:
        TimeLimitError: an item takes longer.
    """
    if limit_s is None:
        yield from items
        return
    asked: SimpleQueue[bool] = SimpleQueue()
    given: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    threading.Thread(target=_give, args=(items, asked, given), daemon=True).start()
    try:
        while True:
            asked.put(True)
            try:
                item, error = given.get(timeout=min(limit_s, threading.TIMEOUT_MAX))
            except Empty:
                raise TimeLimitError(late) from None
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        asked.put(False)


def _give(items: Iterator[Any], asked: SimpleQueue[bool], given: SimpleQueue[tuple[Any, BaseException | None]]) -> None:
    while asked.get():
        try:
            given.put((next(items), None))
        except BaseException as error:  # raised where the item is waited for
            given.put((None, error))


def hangs(path: Path, timeout_s: float | None) -> str:
    """Return what to say of a video whose decoder gives nothing for some seconds."""
    return (
        f"{path}: its decoder gave nothing for {timeout_s or 0:g} s; does the file system answer? "
        "Copy the video again, or raise decode_timeout_s"
    )
