"""What a reader may do with a damaged file: read it, or say in one line what is wrong with it."""

import os
import resource
import sys
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gaze_vlm.errors import UserError

FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "ctypes.dlopen")
FORBIDDEN += ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.symlink", "os.link", "shutil.rmtree")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
MOST_S = 20.0  # for a small file, on a machine that other work keeps busy
MOST_BYTES, MOST_RATIO = 2**26, 200
MOST_ADDRESSES = 2**33  # beyond those of before: what asks for more fails here, and takes the machine's memory nowhere
_seen: dict[int, list[str]] = {}


def _listen(event: str, args: tuple[Any, ...]) -> None:
    seen = _seen.get(threading.get_ident())
    if seen is None:
        return
    if event in FORBIDDEN:
        seen.append(f"{event} {args}")
    elif event == "open" and isinstance(args[2], int) and args[2] & WRITES and str(args[0]) != os.devnull:
        seen.append(f"writes {args[0]}")


sys.addaudithook(_listen)


def check_read(read: Callable[[Path], object], path: Path, named: tuple[str, ...], memory: bool = False) -> str | None:
    """Read a file that may be damaged; return what was said of it, None if it could be read.

    It takes little time and memory, starts and writes nothing, and says what is wrong in one line that holds one of the
    names.
    """
    said = None
    keeps_no_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # of what it imports
    _seen[threading.get_ident()] = seen = []
    if memory:
        tracemalloc.start()
    began = time.thread_time()
    try:
        with warnings.catch_warnings(), limited_addresses():
            warnings.simplefilter("ignore", UserWarning)
            read(path)
    except UserError as error:
        said = str(error)
    finally:
        took_s = time.thread_time() - began
        peak = tracemalloc.get_traced_memory()[1] if memory else 0
        tracemalloc.stop()
        del _seen[threading.get_ident()]
        sys.dont_write_bytecode = keeps_no_bytecode
    assert not seen, seen
    assert took_s < MOST_S
    assert peak < MOST_BYTES + MOST_RATIO * path.stat().st_size, f"{peak} bytes of memory"
    if said is not None:
        assert "\n" not in said, said
        assert len(said) < 5000, f"{len(said)} letters: {said[:300]}"
        assert any(name in said for name in named), said
    return said


@contextmanager
def limited_addresses() -> Iterator[None]:
    """Let this process have few more addresses than it has now."""
    used = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_ADDRESSES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
