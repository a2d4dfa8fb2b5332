"""Progress of a long loop: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")
LINE_SHARE = 0.1
LINE_INTERVAL_S = 10.0
_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TextColumn("left"),
    TimeRemainingColumn(),
)


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


@dataclass(frozen=True)
class Part:
    """How far a worker is with the item that it is at."""

    worker: int
    name: str
    share: float


class WorkProgress(Protocol):
    """Shows how far several workers are."""

    def part(self, part: Part) -> None:
        """Shows how far one of them is with its item."""
        ...

    def advance(self) -> None:
        """Counts an item that is done."""
        ...


@contextmanager
def work_progress(description: str, total: int) -> Iterator[WorkProgress]:
    """Progress of `total` items on stderr: on a terminal a bar for all and one for each worker, lines elsewhere."""
    if sys.stderr.isatty():
        with Progress(*_COLUMNS, console=Console(stderr=True)) as bars:
            yield _Bars(bars, description, total)
    else:
        yield _Lines(description, total)


class _Bars:
    def __init__(self, bars: Progress, description: str, total: int) -> None:
        self.bars = bars
        self.all = bars.add_task(description, total=total)
        self.workers: dict[int, TaskID] = {}

    def part(self, part: Part) -> None:
        if part.worker not in self.workers:
            self.workers[part.worker] = self.bars.add_task("", total=100)
        self.bars.update(self.workers[part.worker], description=f"  {part.name}", completed=round(100 * part.share))

    def advance(self) -> None:
        self.bars.advance(self.all)


class _Lines:
    """A line after every tenth of the items or ten seconds, whichever comes first, and one at the end."""

    def __init__(self, description: str, total: int | None) -> None:
        self.description = description
        self.total = total
        self.start_s = self.line_s = time.monotonic()
        self.done = self.line_done = 0

    def part(self, part: Part) -> None:
        if time.monotonic() - self.line_s >= LINE_INTERVAL_S:
            self.print(f", {part.name} at {100 * part.share:.0f} %")

    def advance(self) -> None:
        self.done += 1
        tenth = self.total is not None and self.done - self.line_done >= LINE_SHARE * self.total
        if self.done == self.total or tenth or time.monotonic() - self.line_s >= LINE_INTERVAL_S:
            self.print()

    def print(self, more: str = "") -> None:
        now_s = time.monotonic()
        print(_line(self.description, self.done, self.total, now_s - self.start_s) + more, file=sys.stderr, flush=True)
        self.line_done, self.line_s = self.done, now_s


def _bar(iterable: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    with Progress(*_COLUMNS, console=Console(stderr=True)) as progress:
        yield from progress.track(iterable, total=total, description=description)


def _lines(iterable: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    lines = _Lines(description, total)
    for item in iterable:
        yield item
        lines.advance()
    if lines.done > lines.line_done:
        lines.print()


def _line(description: str, done: int, total: int | None, elapsed_s: float) -> str:
    if total is None or done >= total:
        of_total = f"/{total}" if total is not None else ""
        return f"{description}: {done}{of_total} in {clock(elapsed_s)}"
    if not done:
        return f"{description}: 0/{total}"
    left_s = elapsed_s * (total - done) / done
    return f"{description}: {done}/{total} ({100 * done / total:.0f} %), {clock(left_s)} left"


def clock(seconds: float) -> str:
    """A time span as h:mm:ss, or m:ss below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
