"""A run in one file: a YAML whose `configs` name the YAMLs that it is composed of."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from gaze_vlm.errors import InputError, MissingFileError, OptionError
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.shipped.checkpoints import shipped_checkpoints
from gaze_vlm.shipped.configs import locate_config, nearest_config

PATHS = ("data.store", "model.backbone.init_args.checkpoint", "ckpt_path")
"""Keys of a run's configuration that name files, beside its own directory."""
MOST_VALUES = 100_000


def expand_configs(args: list[str]) -> list[str]:
    """Replace each `--config FILE` by the files that FILE is composed of.

    After a run's own configuration stand options for the paths that are elsewhere by now.

    Raises:
        InputError: see `configs_of`.
    """
    expanded: list[str] = []
    for arg, file in _with_files(args):
        if file is None:
            expanded.append(arg)
            continue
        for part in configs_of(file):
            values = read_yaml(part)
            # What is left of a composed file has no name of its own: it is handed over as text.
            is_composed = values.pop("configs", None) is not None
            expanded.append(f"--config={yaml.safe_dump(values) if is_composed else locate_config(part)}")
            expanded += where_it_is_now(part)
    return expanded


def with_located_configs(args: list[str]) -> list[str]:
    """Replace each `--config FILE` by the file itself, where the name is of one that ships."""
    return [arg if file is None else f"--config={locate_config(file)}" for arg, file in _with_files(args)]


@contextmanager
def naming_files(args: list[str]) -> Iterator[None]:
    """Name the file in an error on a key that a `--config` holds.

    A key that is also an option of the command line is left out.

    Raises:
        InputError: see `configs_of`.
    """
    parts = [part for _, file in _with_files(args) if file is not None for part in configs_of(file)]
    try:
        yield
    except OptionError as error:
        holding = [part for part in parts if error.key is not None and _holds(read_yaml(part), error.key)]
        if not holding or any(arg.removeprefix("--").partition("=")[0] == error.key for arg in args):
            raise
        raise OptionError(f"{holding[-1]}: {error.args[0]}", error.key, error.command) from error


def _with_files(args: list[str]) -> Iterator[tuple[str, Path | None]]:
    """Each argument, and the file where it is a `--config` that is not a YAML's text itself."""
    rest = iter(args)
    for arg in rest:
        if arg in ("--config", "-c"):
            arg = f"--config={next(rest, '')}"
        value = arg.removeprefix("--config=")
        yield arg, None if value == arg or _is_text(value) else Path(value)


def _is_text(value: str) -> bool:
    """Whether this is a YAML's text, as in the command lines of the processes that Lightning starts."""
    try:
        return isinstance(yaml.safe_load(value), dict)
    except yaml.YAMLError:
        return False


def _holds(values: Any, key: str) -> bool:
    """Whether a YAML's values have a dotted key, `init_args` between or not; a key of them may be of any type."""
    inner = {str(name): value for name, value in values.items()} if isinstance(values, dict) else {}
    return key in inner or any(
        key.startswith(f"{name}.") and _holds(value, key[len(name) + 1 :]) for name, value in inner.items()
    )


def configs_of(file: Path, within: tuple[Path, ...] = ()) -> list[Path]:
    """List the files that a YAML is composed of, in the order in which they apply.

    The files of its `configs` come first, then itself.

    Raises:
        InputError: `configs` is no list of names, a name is no file, or a file names itself by way of others.
    """
    if file in within:
        raise InputError(f"configs: {' → '.join(map(str, [*within, file]))} is a circle: take one of them out")
    names = read_yaml(file).get("configs") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{file}: configs is {names!r}; expected a list of YAML files")
    parts = [found_from(Path(name), file) for name in names]
    for part in parts:
        if not locate_config(part).is_file():
            raise InputError(f"{file}: configs: {part} does not exist: fix the path{nearest_config(part)}")
    return [*(inner for part in parts for inner in configs_of(part, (*within, file))), file]


def where_it_is_now(file: Path) -> list[str]:
    """Return options for paths of a run's configuration that have moved.

    There are none for any other file. The run's directory is the one that the file is in. Another path that is not
    there is looked for at the same way from that directory as when the run was made, and below every folder above it.
    """
    folder, run = file.parent, RunDirectory(file.parent)
    if file.name not in run.CONFIGS or not (run.checkpoints.exists() or run.facts.exists()):
        return []
    values, options = read_yaml(file), []
    given = _value(values, "run.dir")
    old = Path(given) if isinstance(given, str) and "\0" not in given else folder
    if old.resolve() != folder.resolve():
        options.append(f"--run.dir={folder}")
    for key in PATHS:
        value = _value(values, key)
        if not isinstance(value, str) or _is_there(Path(value)) or value in shipped_checkpoints():
            continue
        alike = Path(value).is_absolute() == old.is_absolute()
        same_way = Path(os.path.normpath(folder.absolute() / os.path.relpath(value, old)))
        found = same_way if alike and _is_there(same_way) else found_from(Path(value), file)
        if found != Path(value):
            options.append(f"--{key}={found}")
    return options


def _value(values: Any, key: str) -> Any:
    for name in key.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def found_from(path: Path, file: Path) -> Path:
    """Find a path from the working directory, else from a folder above the file.

    The path itself is returned where it is nowhere.
    """
    if path.is_absolute() or _is_there(path):
        return path
    above = (folder / path for folder in file.absolute().parents)
    return next((place for place in above if _is_there(place)), path)


def _is_there(path: Path) -> bool:
    """Whether a path exists; one that no file system takes does not."""
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


class _OnceEach(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping: YAML would drop the first, with all below it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        values = [key.value for key in keys]
        for place, key in enumerate(keys):
            if key.value in values[:place]:
                problem = f"the key {key.value!r} stands there twice: join what is below both"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """Return the values of a YAML's text.

    Raises:
        yaml.YAMLError: it is none, or has a key twice.
    """
    return yaml.load(text, _OnceEach)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read the values of a YAML, or of the shipped one of this name.

    Raises:
        MissingFileError: there is no such file.
        InputError: it is no YAML, holds no keys or one of them twice, has `None`, which is a text there, or aliases
            without end.
    """
    found = locate_config(file)
    if not found.is_file():
        raise MissingFileError(f"{file} does not exist: fix the path{nearest_config(file)}")
    try:
        values = parse_yaml(found.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no text, a number of thousands of digits, or deep
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f"line {mark.line + 1}: "
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise InputError(f"{file} is no YAML: {line}{problem}") from error
    if values is not None and not isinstance(values, dict):
        raise InputError(f"{file} holds {type(values).__name__}, not keys with values")
    _check_values(values, file)
    return values or {}


def _check_values(values: Any, file: Path) -> None:
    """Refuse `None` as Python writes it, an alias of what it is in, and aliases that multiply."""
    for number, (key, value) in enumerate(_inner(values, file)):
        if value == "None":
            raise InputError(f"{file}: {key} is the text 'None', which is not YAML's word for nothing: write null")
        if number == MOST_VALUES:
            raise InputError(f"{file} has over {MOST_VALUES} values, aliases counted: write what is meant once")


def _inner(values: Any, file: Path, within: tuple[tuple[str, Any], ...] = ()) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a YAML, at all depths.

    Args:
        values: of the file.
        file: the YAML.
        within: keys and values that these are in, the outermost first.
    """
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for name, value in items:
        way = (*within, (str(name), values))
        key = ".".join(part for part, _ in way)
        if any(value is outer for _, outer in way):
            raise InputError(f"{file}: {key} is an alias of what it stands in: write its value")
        yield key, value
        yield from _inner(value, file, way)
