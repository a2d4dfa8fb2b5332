"""One of the processes that train together: where it runs, and whether it still does."""

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

DEAD = "ZX"  # states of a process that has ended and that nobody has asked about yet
STDERR = 2
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Peer:
    """A process of a training.

    `started` is when it began, in the kernel's ticks, for a number may be given to another process. `machine` says
    where `pid` means something, and is empty where there is no `/proc`. `log` is the file that its stderr goes to,
    empty where that is none.
    """

    rank: int
    processes: int
    host: str
    pid: int
    started: str
    machine: str
    log: str

    @classmethod
    def this(cls, rank: int, processes: int) -> Self:
        """Describe this process."""
        pid, log, machine = os.getpid(), Path(f"/proc/self/fd/{STDERR}"), ""
        started = _state_and_start(pid)[1]
        if started:
            namespace = Path("/proc/self/ns/pid").readlink()
            machine = f"{BOOT.read_text().strip()} {namespace}"
        written = str(log.readlink()) if log.is_file() else ""
        return cls(rank, processes, socket.gethostname(), pid, started, machine, written)

    @classmethod
    def read(cls, text: str | bytes) -> Self:
        """Read what `text` wrote."""
        return cls(**json.loads(text))

    def text(self) -> str:
        """Write it, for another process."""
        return json.dumps(asdict(self))

    def is_on_machine_of(self, other: "Peer") -> bool:
        """Return whether `has_ended` can tell, asked by the other."""
        return bool(self.machine) and self.machine == other.machine

    def has_ended(self) -> bool:
        """Return whether it has ended, on its own machine."""
        state, started = _state_and_start(self.pid)
        return state in DEAD or started != self.started

    def __str__(self) -> str:
        where = f"process {self.rank} of {self.processes} (host {self.host}, pid {self.pid}"
        return f"{where}, log {self.log})" if self.log else f"{where})"


def _state_and_start(pid: int) -> tuple[str, str]:
    """State and start of a process as the kernel has them; empty where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # the name before may hold anything
    except OSError:
        return DEAD, ""
    return fields[0], fields[19]
