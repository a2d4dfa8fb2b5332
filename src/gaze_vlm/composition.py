"""A run in one file: a YAML whose `configs` name the YAMLs that it is composed of."""

from pathlib import Path
from typing import Any

import yaml

from gaze_vlm.errors import InputError


def expand_configs(args: list[str]) -> list[str]:
    """A command line with each `--config FILE` replaced by the files that FILE is composed of.

    Raises:
        ValueError: see `configs_of`.
    """
    expanded: list[str] = []
    rest = iter(args)
    for arg in rest:
        file = next(rest, "") if arg == "--config" else arg.removeprefix("--config=")
        if file == arg:
            expanded.append(arg)
            continue
        for part in configs_of(Path(file)):
            values = _read(part)
            # What is left of a composed file has no name of its own: it is handed over as text.
            own = str(part) if values.pop("configs", None) is None else yaml.safe_dump(values)
            expanded.append(f"--config={own}")
    return expanded


def configs_of(file: Path, within: tuple[Path, ...] = ()) -> list[Path]:
    """The files that a YAML is composed of, in the order in which they apply: those of its `configs`, then itself.

    Raises:
        ValueError: a name in `configs` is no file, or a file names itself by way of others.
    """
    if file in within:
        raise InputError(f"configs: {' → '.join(map(str, [*within, file]))} is a circle: take one of them out")
    parts = [Path(part) for part in _read(file).get("configs") or []]
    for part in parts:
        if not part.is_file():
            raise InputError(f"{file}: configs: {part} does not exist: mend the path, or run from the project")
    return [*(inner for part in parts for inner in configs_of(part, (*within, file))), file]


def _read(file: Path) -> dict[str, Any]:
    """A YAML's values; none where the parser had better tell what is wrong with it."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}
