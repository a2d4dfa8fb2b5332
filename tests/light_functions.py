"""Functions for other processes to call: these import in no time, where a test's module imports torch."""

import os
import sys
from pathlib import Path

from gaze_vlm.errors import MissingFileError


def served(module: str, *_: object) -> tuple[bool, str | None]:
    """Whether this process has a module, and what its environment says."""
    return module in sys.modules, os.environ.get("WARMED_FOR")


def refuse(file: Path) -> None:
    raise MissingFileError(f"{file.name} is not there")
