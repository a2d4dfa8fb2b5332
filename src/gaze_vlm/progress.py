"""Lines on stderr: progress of a long loop, a bar on a terminal and plain lines elsewhere; warnings."""

import math
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gaze_vlm.foreign_text import visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Item = TypeVar("Item")
PACKAGE = Path(__file__).parent
LINE_SHARE = 0.1
LINE_INTERVAL_S = 10.0


def track(iterable: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items of `iterable`, and show progress and time left on stderr.

    Args:
        iterable: What to go through.
        description: A few words before the numbers.
        total: Number of items; by default the length of `iterable`, if it has one.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with work_progress(description, total) as progress:
        for item in iterable:
            yield item
            progress.advance()


@dataclass(frozen=True)
class WorkerProgress:
    """How far a worker is with the item that it is at."""

    worker: int
    name: str
    share: float


class WorkProgress(Protocol):
    """Shows how far several workers are."""

    def part(self, part: WorkerProgress) -> None:
        """Show how far one of them is with its item."""
        ...

    def advance(self) -> None:
        """Count an item that is done."""
        ...


@contextmanager
def work_progress(description: str, total: int | None) -> Iterator[WorkProgress]:
    """Show progress of `total` items on stderr; None is an unknown number.

    On a terminal there is a bar for all and one for each worker, elsewhere lines.
    """
    if sys.stderr.isatty():
        with _bars() as bars:
            yield _Bars(bars, description, total)
        return
    shown = _WorkLines(description, total)
    yield shown
    if shown.lines.done > shown.lines.line_done:
        say(shown.lines.line())


def _bars() -> "Progress":
    from rich.console import Console  # slow to import, and of use on a terminal alone
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    numbers = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    return Progress(TextColumn("{task.description}", markup=False), *numbers, console=Console(stderr=True))


class _Bars(WorkProgress):
    def __init__(self, bars: "Progress", description: str, total: int | None) -> None:
        self.bars = bars
        self.all = bars.add_task(visible(description, keep=""), total=total)
        self.workers: dict[int, TaskID] = {}

    def part(self, part: WorkerProgress) -> None:
        if part.worker not in self.workers:
            self.workers[part.worker] = self.bars.add_task("", total=100)
        self.bars.update(
            self.workers[part.worker], description=f"  {visible(part.name, keep='')}", completed=round(100 * part.share)
        )

    def advance(self) -> None:
        self.bars.advance(self.all)


class Lines:
    """Lines on the progress of a loop: at a share of the items, or some time.

    Args:
        description: a few words before the numbers.
        total: number of items; infinity or None if it is not known.
        done: how many are done already.
        share: of the items between two lines.
        interval_s: seconds between two lines; whichever comes first.
    """

    def __init__(
        self,
        description: str,
        total: float | None,
        done: int = 0,
        share: float = LINE_SHARE,
        interval_s: float = LINE_INTERVAL_S,
    ) -> None:
        self.description, self.share, self.interval_s = visible(description, keep=""), share, interval_s
        self.total = int(total) if total is not None and math.isfinite(total) else None
        self.first = self.done = self.line_done = done
        self.start_s = self.line_s = time.monotonic()

    def advance(self) -> str | None:
        """Count an item that is done."""
        return self.reach(self.done + 1)

    def reach(self, done: int) -> str | None:
        """Count up to `done`; return a line if one is due."""
        self.done = done
        of_items = self.total is not None and (done == self.total or done - self.line_done >= self.share * self.total)
        return self.line() if of_items or self.is_time() else None

    def is_time(self) -> bool:
        """Return whether the last line is long ago."""
        return time.monotonic() - self.line_s >= self.interval_s

    def line(self) -> str:
        """Return how far the loop is, and how long the rest will take."""
        self.line_done, self.line_s = self.done, time.monotonic()
        elapsed_s, fresh = self.line_s - self.start_s, self.done - self.first
        if self.total is None or self.done >= self.total:
            of_total = f"/{self.total}" if self.total is not None else ""
            return f"{self.description}: {self.done}{of_total} in {clock(elapsed_s)}"
        if not fresh:
            return f"{self.description}: {self.done}/{self.total}"
        left_s = elapsed_s * (self.total - self.done) / fresh
        share = f"{100 * self.done / self.total:.0f} %"
        return f"{self.description}: {self.done}/{self.total} ({share}), {clock(left_s)} left"


class _WorkLines(WorkProgress):
    def __init__(self, description: str, total: int | None) -> None:
        self.lines = Lines(description, total)

    def part(self, part: WorkerProgress) -> None:
        if self.lines.is_time():
            say(f"{self.lines.line()}, {visible(part.name, keep='')} at {100 * part.share:.0f} %")

    def advance(self) -> None:
        say(self.lines.advance())


def say(line: str | None) -> None:
    """Write a line, if there is one, to stderr; a terminal obeys nothing in it."""
    if line is not None:
        sys.stderr.write(f"{visible(line)}\n")  # at once: Ctrl-C does not part a line from its end
        sys.stderr.flush()


@cache  # once a process
def show_warnings_plainly() -> None:
    """Write a warning of ours as one line, and out what a terminal would obey: it may hold names out of files."""
    written = warnings.formatwarning

    def plain(message: Any, category: type[Warning], filename: str, *rest: Any, **options: Any) -> str:
        is_ours = category is UserWarning and Path(filename).is_relative_to(PACKAGE)
        return visible(f"warning: {message}\n" if is_ours else written(message, category, filename, *rest, **options))

    warnings.formatwarning = plain


def clock(seconds: float) -> str:
    """Write a time span as h:mm:ss, or m:ss below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
