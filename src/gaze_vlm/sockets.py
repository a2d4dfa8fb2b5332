"""Sockets by which processes talk to each other: they lie among the temporary files."""

import socket
from multiprocessing import forkserver, util
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from gaze_vlm.errors import InputError

LISTENER = "listener-12345678"  # as long as the names of multiprocessing's own


def check_sockets() -> None:
    """Check, before processes are started, that they can be talked to.

    Raises:
        InputError: the folder of temporary files has too long a path for a socket, or its file system takes none.
    """
    with TemporaryDirectory(prefix="pymp-") as folder, socket.socket(socket.AF_UNIX) as one:
        try:
            one.bind(str(Path(folder, LISTENER)))
        except OSError as error:
            raise InputError(
                f"TMPDIR: {gettempdir()} takes no sockets ({error}), by which processes talk to each other: name a "
                "folder of a shorter path on a local disk, as by `export TMPDIR=/tmp`"
            ) from error


def replace_lost_server() -> None:
    """Let a fork server start in the place of one whose socket was deleted, as by who clears the temporary folder."""
    server: Any = forkserver._forkserver
    if server._forkserver_address is not None and not Path(server._forkserver_address).exists():
        Path(util.get_temp_dir()).mkdir(mode=0o700, exist_ok=True)  # of the sockets; multiprocessing made it once
        server._forkserver_pid = None  # it goes on for the processes that it has started
