"""Configurations that ship: `lightning_configs/` of the repository, found where the working folder has no such file."""

from difflib import get_close_matches
from pathlib import Path

from gaze_vlm.suggestions import nearest_path

CONFIGS = Path(__file__).parent / "lightning_configs"
"""In a checkout a link to the folder of the repository, in a wheel a folder of its own."""


def shipped_configs() -> list[str]:
    """List the shipped YAMLs, by their paths below `lightning_configs/`."""
    return sorted(str(file.relative_to(CONFIGS)) for file in (*CONFIGS.glob("*.yaml"), *CONFIGS.glob("*/*.yaml")))


def locate_config(path: Path) -> Path:
    """Return a path that is there, else the shipped file of this name, else the path as it is.

    A shipped file has two names: `lightning_configs/kitchen/gaze.yaml`, and `kitchen/gaze` for short, with or without
    the suffix.

    Args:
        path: as a user or another YAML names it.
    """
    if path.exists() or path.is_absolute() or ".." in path.parts:
        return path
    below = path.relative_to(CONFIGS.name) if path.parts[:1] == (CONFIGS.name,) else path
    named = (CONFIGS / below, CONFIGS / f"{below}.yaml")
    return next((file for file in named if file.is_file()), path)


def nearest_config(path: Path) -> str:
    """Return a question on a file with a close name, one that is there or that ships, or nothing."""
    close = get_close_matches(str(path).removeprefix(f"{CONFIGS.name}/"), shipped_configs(), n=1)
    return nearest_path(path) or (f"; did you mean {CONFIGS.name}/{close[0]}?" if close else "")
