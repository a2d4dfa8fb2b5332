"""`~` in front of a path that no shell has expanded: in a YAML, behind `--root=`, in a call."""

import os
from pathlib import Path


def in_home(name: str) -> str:
    """Return a path or a hub name, with a home folder in place of `~`; as it is where there is no such user."""
    return os.path.expanduser(name)  # noqa: PTH111  # the other form fails there, and changes `./name`


def home_path(value: str | Path) -> Path:
    """Return a path, of which `~` in front is a home folder; as it is where there is no such user."""
    return Path(in_home(str(value)))
