"""Standard output as a shell gives it: it may lack letters, or have nobody who reads it."""

import os
import select
import sys
from io import TextIOWrapper


def take_any_letter() -> None:
    """Write letters that standard output lacks, as → in some locales, by their numbers."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def is_unread() -> bool:
    """Return whether nobody reads standard output any more, as before a `| head` that has ended."""
    if sys.stdout is None:  # the shell closed it
        return False
    poll = select.poll()
    poll.register(sys.stdout, 0)  # errors and ends are reported whatever is asked for
    return bool(poll.poll(0))


def drop_if_refused() -> None:
    """Drop what standard output does not take, in place of an error at the end of the process."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
