"""Runs a command that does not outlive the comparison that started it, however that ends.

    python -m gaze_vlm.processes.guarded COMMAND…

Its standard input is a pipe from the comparison. When that closes, the process group is killed: this process, the
command and all that it started.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start_guarded(
    command: Sequence[str], log: Path, environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a command, in a process group of its own, that does not outlive this process.

    `environment` is variables beside those of this process. The output is appended to `log`.
    """
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "gaze_vlm.processes.guarded", *command],
            stdin=subprocess.PIPE,  # it closes with this process, however that ends
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )


def main() -> None:
    """Run the command; end as it ended."""
    for number in STOPPING:
        signal.signal(number, lambda *_: None)  # for the command, which gets them too; an ignored one it would inherit
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_comparison, daemon=True).start()
    status = process.wait()
    if status < 0:
        if -status in STOPPING:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def _end_with_comparison() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
