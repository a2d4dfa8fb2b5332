"""`~` in front of a path that no shell has expanded: in a YAML, behind `--root=`, in a call."""

import os
from pathlib import Path

from gaze_vlm.errors import InputError


def in_home(name: str) -> str:
    """Return a path or a hub name, with a home folder in place of `~`; as it is where there is no such user.

    Raises:
        InputError: this user has no home folder, as in a container whose user has no name.
    """
    path = os.path.expanduser(name)  # noqa: PTH111  # the other form fails there, and changes `./name`
    if Path(path).parts[:1] == ("~",):
        raise InputError(f"{path}: this user has no home folder; set HOME, or name the folder without ~")
    return path


def home_path(value: str | Path) -> Path:
    """Return a path, of which `~` in front is a home folder; see `in_home`.

    Raises:
        InputError: this user has no home folder.
    """
    return Path(in_home(os.fspath(value)))  # a list is no path, and something else is tried
