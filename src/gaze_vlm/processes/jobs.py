"""Jobs: the commands that fill run directories, several at a time, with what they depend on."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from gaze_vlm.command_line.commands import PROGRAM
from gaze_vlm.cores import cores
from gaze_vlm.digests import file_digest
from gaze_vlm.errors import CommandError, UserError
from gaze_vlm.json_files import parse_object
from gaze_vlm.output import write_atomically
from gaze_vlm.progress import say, track
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.shipped.configs import locate_config

SHOWN_LINES = 20

Launch = Callable[[list[str], Path, Mapping[str, str]], int]
"""Runs a command with more environment variables, appends its output to a log file; the exit status."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """A command of this package that fills a run directory.

    Args:
        command: with its options, such as `fit --config=…`.
        directory: it is emptied before the command, and has the stamp once the results are checked.
        inputs: files whose content the results depend on.
        settings: what else they depend on, by name.
        check: raises an InputError where the command left something else than was asked for.
        rest: returns a command that ends what an interrupted one left, or nothing where that must begin anew.
    """

    command: Sequence[str]
    directory: RunDirectory
    inputs: Sequence[Path]
    check: Callable[[], object]
    rest: Callable[[], Sequence[str]] = tuple
    settings: Mapping[str, str] = field(default_factory=dict)

    def dependencies(self) -> dict[str, str]:
        """Return the command, the other settings and the digest of each input, by name."""
        digests = {str(path): file_digest(locate_config(path)) for path in self.inputs}
        return {"command": " ".join(self.command), **self.settings, **digests}

    def changed(self, fix: str) -> list[str]:
        """Name the dependencies that differ from those of the stamp, which must be there.

        Raises:
            InputError: the stamp is damaged; `fix` is the advice.
        """
        return self._differing(self.directory.stamp, fix)

    def run(self, launch: Launch, environment: Mapping[str, str]) -> None:
        """Run the command, check what it left, and write the stamp.

        What another process has ended meanwhile stays. What an interrupted command left is ended where that gives the
        same, and deleted where it does not.

        Raises:
            CommandError: the command failed.
            InputError: it left something else than was asked for.
        """
        directory = self.directory
        if directory.stamp.is_file() and directory.is_tested and not self.changed("delete it to begin anew"):
            say(f"{directory} is there already: another process has ended it")
            return
        command = list(self.rest()) if self._was_begun else []
        if command:
            say(f"{directory} was interrupted: {command[0]} ends it")
        else:
            if directory.begun.is_file():
                say(f"{directory} was interrupted: it begins anew")
            directory.clear()  # what an interrupted command left would mix with this
            directory.path.mkdir(parents=True, exist_ok=True)
            depends_on = json.dumps(self.dependencies(), indent=2, ensure_ascii=False) + "\n"
            write_atomically(directory.begun, depends_on)
        whole = [*PROGRAM, *(command or self.command)]
        run_or_raise(launch, whole, directory.log, environment, keep_log=bool(command))
        self.check()
        with suppress(FileNotFoundError):  # another process has ended it at the same time
            directory.begun.rename(directory.stamp)

    @property
    def _was_begun(self) -> bool:
        """Whether the directory is of this very job, not yet ended."""
        begun = self.directory.begun
        return begun.is_file() and not self._differing(begun, "delete it to begin anew")

    def _differing(self, file: Path, fix: str) -> list[str]:
        old, new = parse_object(file.read_bytes(), file, fix), self.dependencies()
        # A stamp of an older version lacks what was not looked at then.
        return [key for key in new if (key in old or key == "command") and old.get(key) != new[key]]


def run_or_raise(
    launch: Launch, command: list[str], log: Path, environment: Mapping[str, str], keep_log: bool = False
) -> None:
    """Run a command with a log of its own, which stderr names; where `keep_log`, add to it.

    Raises:
        CommandError: the command failed; the message ends with the last lines of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.open("a" if keep_log else "w").close()
    say(f"begins: {log}")
    status = launch(command, log, environment)
    if status != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
        shown = "\n".join(f"  {line}" for line in lines)
        ended = f"failed with status {status}" if status > 0 else f"was killed by signal {-status}"
        raise CommandError(f"command {ended}: {' '.join(command)}\n{shown}\nwhole log: {log}")


def thread_environment(jobs: int) -> dict[str, str]:
    """Return environment variables that share the cores among `jobs` processes."""
    return {"OMP_NUM_THREADS": str(max(1, cores() // jobs)), "OMP_WAIT_POLICY": "PASSIVE"}


def in_parallel(
    work: Callable[[Item], None],
    items: Sequence[Item],
    jobs: int,
    description: str,
    after: Mapping[Item, Item] | None = None,
) -> dict[Item, UserError]:
    """Do the work on all items; return those that failed with a user's error.

    Whenever fewer than `jobs` are at work, the first item that waits for no other begins. Each such error is reported
    on stderr at once. Any other exception keeps further items from starting, and is raised at the end.

    Args:
        work: what to do with an item.
        items: in the order in which they are to begin.
        jobs: items at a time.
        description: what they are, before the progress.
        after: the item that an item waits for. Where that fails, it fails with it, and is not begun.
    """
    pool = ThreadPoolExecutor(max_workers=jobs)
    places = {item: place for place, item in enumerate(items)}
    ready: list[int] = []
    begun: dict[Future[None], Item] = {}
    # `concurrent.futures.wait` locks all futures: a signal that comes then leaves locks behind, and the pool hangs.
    done: SimpleQueue[Future[None]] = SimpleQueue()
    waiting: dict[Item | None, list[Item]] = {}
    for item in items:
        waiting.setdefault((after or {}).get(item), []).append(item)
    assert waiting.keys() <= {None, *items}, "an item waits for one that is not there"
    failed: dict[Item, UserError] = {}

    def begin(more: Sequence[Item]) -> None:
        for item in more:
            heappush(ready, places[item])
        while ready and len(begun) < jobs:
            item = items[heappop(ready)]
            begun[future := pool.submit(work, item)] = item
            future.add_done_callback(done.put)

    def fail(item: Item, error: UserError) -> Iterator[Item]:
        failed[item] = error
        for behind in waiting.get(item, []):
            yield from fail(behind, error)
        yield item

    def ended() -> Iterator[Item]:
        while begun:
            future = done.get()
            item = begun.pop(future)
            try:
                future.result()
            except UserError as error:
                say(str(error))
                begin([])
                yield from fail(item, error)
            else:
                begin(waiting.get(item, []))
                yield item

    try:
        begin(waiting.get(None, []))
        for _ in track(ended(), description, total=len(items)):
            pass
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return failed
