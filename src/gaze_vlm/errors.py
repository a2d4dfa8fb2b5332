"""Errors of the user's: each names the file or value and the fix, and the command line prints it as one line.

Any other exception is a fault of this package's and keeps its traceback.
"""


class UserError(Exception):
    """What the user can fix. Raised as one of the classes below."""


class InputError(UserError, ValueError):
    """A file, a value or a configuration that cannot be used."""


class MissingFileError(UserError, FileNotFoundError):
    """A file, a folder or a checkpoint that is not there."""


class CommandError(UserError, RuntimeError):
    """A command that this one started failed."""
