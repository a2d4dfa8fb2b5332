"""Progress of a long loop: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")
LINE_SHARE = 0.1
LINE_INTERVAL_S = 10.0


def track(iterable: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yields the items of `iterable` and shows on stderr how far they are and how long the rest will take.

    Args:
        iterable: What to go through.
        description: A few words before the numbers.
        total: Number of items; by default the length of `iterable`, if it has one.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    if sys.stderr.isatty():
        yield from _bar(iterable, description, total)
    else:
        yield from _lines(iterable, description, total)


def _bar(iterable: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(iterable, total=total, description=description)


def _lines(iterable: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    """A line after every tenth of the items or ten seconds, whichever comes first, and one at the end."""
    start_s = line_s = time.monotonic()
    line_done = done = 0
    for item in iterable:
        yield item
        done += 1
        now_s = time.monotonic()
        tenth = total is not None and done - line_done >= LINE_SHARE * total
        if done == total or tenth or now_s - line_s >= LINE_INTERVAL_S:
            print(_line(description, done, total, now_s - start_s), file=sys.stderr, flush=True)
            line_done, line_s = done, now_s
    if done > line_done:
        print(_line(description, done, total, time.monotonic() - start_s), file=sys.stderr, flush=True)


def _line(description: str, done: int, total: int | None, elapsed_s: float) -> str:
    if total is None or done >= total:
        of_total = f"/{total}" if total is not None else ""
        return f"{description}: {done}{of_total} in {_clock(elapsed_s)}"
    left_s = elapsed_s * (total - done) / done
    return f"{description}: {done}/{total} ({100 * done / total:.0f} %), {_clock(left_s)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
