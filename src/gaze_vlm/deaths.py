"""Why a process that this one started has died: for lack of memory, of shared memory, or otherwise."""

import re
import shutil
import signal
from pathlib import Path

GB = 1e9
SHARED = Path("/dev/shm")
COUNT = re.compile(r"(?m)^oom_kill (\d+)$")


class MemoryKills:
    """What the kernel has killed for lack of memory since this was made, by its own counts.

    Args:
        groups: file that names the control groups of this process, of version 1 or 2.
        mounted: where control groups are mounted.
        machine: file with the counts of the machine.
    """

    def __init__(
        self,
        groups: Path = Path("/proc/self/cgroup"),
        mounted: Path = Path("/sys/fs/cgroup"),
        machine: Path = Path("/proc/vmstat"),
    ) -> None:
        self.counts = {"the job's or container's memory was used up": _of_group(groups, mounted)}
        self.counts["the machine's memory was used up"] = machine
        self.before = {cause: _count(file) for cause, file in self.counts.items()}

    def cause(self) -> str | None:
        """Return what was used up, if anything has been killed for it."""
        return next((cause for cause, file in self.counts.items() if _count(file) > self.before[cause]), None)

    def why(self, number: int | None) -> str:
        """Say why a process has died.

        Args:
            number: the signal that it died by; None where it is not known.
        """
        name = None if number is None else signal.Signals(number).name
        if number in (None, signal.SIGKILL) and (cause := self.cause()) is not None:
            return f"was killed for lack of memory: {cause}"
        if number == signal.SIGKILL:
            return "was killed by SIGKILL; the kernel counts no lack of memory, so a batch system or somebody did it"
        if number == signal.SIGBUS and SHARED.is_dir():
            room = shutil.disk_usage(SHARED)
            return (
                f"died by SIGBUS: {SHARED}, by which processes hand over batches, was probably full; it has "
                f"{room.total / GB:.2f} GB, of which {room.free / GB:.2f} GB are free now (--shm-size of a container)"
            )
        return "died" if name is None else f"died by {name}"


def _of_group(groups: Path, mounted: Path) -> Path:
    """File in which the kernel counts what it kills of this process's control group.

    A container may see its own at the root, whatever its path on the host.
    """
    files = []
    for line in groups.read_text().splitlines() if groups.is_file() else ():
        number, kinds, path = line.split(":", 2)
        if number == "0":
            files += [mounted / one / "memory.events" for one in (path.lstrip("/"), "")]
        elif "memory" in kinds.split(","):
            files += [mounted / "memory" / one / "memory.oom_control" for one in (path.lstrip("/"), "")]
    return next((file for file in files if file.is_file()), mounted / "none")


def _count(file: Path) -> int:
    """How many processes were killed; 0 where the kernel does not say."""
    found = COUNT.search(file.read_text()) if file.is_file() else None
    return 0 if found is None else int(found[1])
