"""Errors of the user's: each names the file or value and the fix, and the command line prints it as one line.

Any other exception is a fault of this package's and keeps its traceback.
"""

import re
from collections.abc import Sequence

SHOWN = 200
LONG = re.compile(r"\S{1000,}")


def first_of(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """Write the first of some names, for a message."""
    return between.join([*names[:most], *["…"] * (len(names) > most)])


def shortened(text: str, letters: int) -> str:
    """Write a text of any script in one line of at most so many letters, for a message."""
    text = " ".join(text.split())
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"


class UserError(Exception):
    """What the user can fix. Raised as one of the classes below.

    A value in its text that is longer than any name is cut.
    """

    def __str__(self) -> str:
        return LONG.sub(lambda found: f"{found[0][:SHOWN]}… of {len(found[0])} letters", super().__str__())


class InputError(UserError, ValueError):
    """A file, a value or a configuration that cannot be used."""


class TimeLimitError(InputError):
    """A file that could not be read in the time that it may take."""


class MissingFileError(UserError, FileNotFoundError):
    """A file, a folder or a checkpoint that is not there."""


class OutputError(UserError, RuntimeError):
    """Something cannot be written: a full disk, no permission. No input is to blame."""


class CommandError(UserError, RuntimeError):
    """A command or a process that this one started failed."""


class OptionError(UserError):
    """An option or key that does not exist, or a value that it cannot have.

    Args:
        text: what is wrong.
        key: dotted name of the option or key, where it is known.
        command: whose `--help` lists the options.
    """

    def __init__(self, text: str, key: str | None = None, command: str | None = None) -> None:
        super().__init__(text)
        self.key = key
        self.command = command

    def __str__(self) -> str:
        text = super().__str__()
        return text if text.endswith("?") or self.command is None else f"{text}; see `{self.command} --help`"
