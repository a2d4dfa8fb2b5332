"""Arguments of a command line, written as the parser wants them."""

import json
import re
from collections.abc import Iterable


def underscored(args: Iterable[str]) -> list[str]:
    """Write options with underscores: `--data.batch-size=4` as `--data.batch_size=4`."""
    made = []
    for arg in args:
        name, sign, value = arg.partition("=")
        made.append(f"{name[:2]}{name[2:].replace('-', '_')}{sign}{value}" if arg.startswith("--") else arg)
    return made


def join_lists(args: list[str], lists: set[str], numbers: set[str]) -> list[str]:
    """Write `--seeds 0 1 2` as the parser wants it: `--seeds=[0,1,2]`.

    An option that is given twice has the values of both.

    Args:
        args: the command line.
        lists: options that take several values.
        numbers: those of them whose values are numbers. A value of another is text, also where YAML would read `yes`
            or `1.5` as something else.
    """
    joined: list[str] = []
    given: dict[str, list[str]] = {}
    values: list[str] | None = None
    for arg in args:
        if values is not None and (not arg.startswith("-") or re.fullmatch(r"-\d+", arg)):
            values.append(arg)
            continue
        name, equals, value = arg.partition("=")
        if name not in lists or _is_list(value):
            values = None
            joined.append(arg)
            continue
        if name not in given:
            given[name] = []
            joined.append(name)
        if equals:
            given[name].append(value)
        values = None if equals else given[name]
    return [f"{arg}={_listed(given[arg], arg in numbers)}" if arg in given else arg for arg in joined]


def _listed(values: list[str], are_numbers: bool) -> str:
    """A list in YAML, in which a text may hold what would end it there."""
    if len(values) == 1 and _is_list(values[0]):
        return values[0]
    return f"[{','.join(values if are_numbers else map(json.dumps, values))}]"


def _is_list(value: str) -> bool:
    return value.startswith("[") and value.endswith("]")


def name_nothing(args: list[str], optional: set[str] | None = None) -> list[str]:
    """Write `None`, as Python calls it, as the parser wants it: `null`.

    Args:
        args: the command line.
        optional: options that may be left empty, and take no text; None is all.
    """
    made: list[str] = []
    for before, arg in zip(["", *args], args, strict=False):
        name, equals, value = arg.partition("=")
        if equals and value == "None" and (optional is None or name in optional):
            arg = f"{name}=null"
        elif arg == "None" and before.startswith("--") and (optional is None or before in optional):
            arg = "null"
        made.append(arg)
    return made


def set_switches(args: list[str], switches: set[str]) -> list[str]:
    """Write `--dry_run` as the parser wants it: `--dry_run=true`."""
    made: list[str] = []
    for arg, following in zip(args, [*args[1:], "--"], strict=False):
        bare = arg in switches and following.startswith("--")
        made.append(f"{arg}=true" if bare else arg)
    return made
