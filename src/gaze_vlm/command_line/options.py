"""Options of a command line: what a parser says of wrong ones in one line, with what may have been meant."""

import argparse
import inspect
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from textwrap import dedent, shorten
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin

from jsonargparse import ArgumentParser, Namespace

from gaze_vlm.command_line.class_paths import refused_import
from gaze_vlm.command_line.help_page import ExamplesFormatter, is_group
from gaze_vlm.errors import InputError, OptionError, UserError
from gaze_vlm.foreign_text import visible
from gaze_vlm.suggestions import did_you_mean

PACKAGES = ("gaze_vlm.", "torch.optim.", "lightning.pytorch.callbacks.", "lightning.pytorch.loggers.")
LONGEST = 400  # characters of a message of unknown form
IN_CLASS = r"Problem with given class_path '[\w.]+':\s*"
IN_CLASS_OF_UNION = (  # of the class that was given: what else the argument may be comes after it
    r"Union subtypes\n.*\n *Errors:\n( *)- Problem with given class_path '([\w.]+)':\n((?:\1 {4}.*(?:\n|$))+)"
)
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "keys with values",
    "NoneType": "null",
}


class OneLineParser(ArgumentParser):
    """A parser that takes no abbreviation, and whose errors are one line.

    Args:
        examples: command lines that end its help.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        epilog = "\n".join(["examples:", *(f"  {line}" for line in examples)]) if examples else None
        ours = {"allow_abbrev": False, "formatter_class": ExamplesFormatter, "epilog": epilog}
        super().__init__(*args, **{**ours, **kwargs})

    def add_class_arguments(self, *args: Any, **kwargs: Any) -> list[str]:
        """Add a class's options; what may be any number is tried as a whole one first."""
        added: list[str] = super().add_class_arguments(*args, **kwargs)
        for action in self._actions:
            if hasattr(action, "_typehint"):
                action._typehint = whole_numbers_first(action._typehint)
        return added

    def _check_value_key(self, action: argparse.Action, value: Any, key: str, *args: Any, **kwargs: Any) -> Any:
        """Check a value of a YAML. The library itself drops, or passes on, what is given in place of a group."""
        if is_group(action) and not isinstance(value, Namespace | Mapping | str):
            raise _not_expected(key, "dict", value)
        try:
            return super()._check_value_key(action, value, key, *args, **kwargs)
        except (OverflowError, ValueError) as error:  # a number of 400 digits, a path with a null character
            raise TypeError(f'Parser key "{key}": {error}') from error

    def validate(self, namespace: Namespace, *args: Any, **kwargs: Any) -> None:
        """Check that values are of their types. The library itself lets null stand for any."""
        super().validate(namespace, *args, **kwargs)
        for action in self._actions:
            type_ = getattr(action, "_typehint", Any)
            takes_null = type_ is Any or action.default is None or type(None) in get_args(type_)
            if not takes_null and namespace.get(action.dest, 0) is None:
                raise _not_expected(action.dest, getattr(type_, "__name__", str(type_)), None)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:  # one of the library's own, which tries what fits
            super().error(message, ex)
        refused = refused_import(message)
        if refused is not None:
            raise InputError(refused) from ex
        cause: BaseException | None = ex
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        if cause is not None:
            raise cause
        parser = getattr(ex, "subcommand_parser", None) or self
        known = [action.dest for action in parser._actions if action.dest not in (argparse.SUPPRESS, "help")]
        key, text = explain(message, known)
        raise OptionError(visible(text, keep=""), key, parser.prog.replace(" [options]", "")) from ex


def whole_numbers_first(type_: Any) -> Any:
    """Return a union of types with `int` and `float` first, so that 1 batch does not become 1.0, all of them.

    The order in the source does not tell: Python takes `Union[float, int]` for the same as `Union[int, float]` and
    returns the one that it made first, so it depends on what was imported before.
    """
    types = get_args(type_)
    if get_origin(type_) not in (Union, UnionType) or not {int, float} <= {*types}:
        return type_
    others = [one for one in types if one not in (int, float)]
    return Union[int, float, *others]  # in one level, in which Python keeps the order


def _not_expected(key: str, type_: str, value: Any) -> TypeError:
    """As the library writes it."""
    given = "null" if value is None else value
    return TypeError(f"Parser key \"{key}\": Expected a <class '{type_}'>. Got value: {given}")


def explain(message: str, known: Iterable[str]) -> tuple[str | None, str]:
    """Return the option that a parser's message is about, and one line.

    Args:
        message: of jsonargparse, over several lines.
        known: the parser's options, dotted.
    """
    known = list(known)
    if found := re.match(r"(?s)unrecognized arguments: (\S+)", message):
        given = found[1]
        if not given.startswith("-"):
            return None, f"{given!r} belongs to no option; options begin with --"
        name = given.lstrip("-").partition("=")[0]
        return name, f"there is no option --{name}{did_you_mean(f'--{name}', [f'--{one}' for one in known])}"
    if found := re.match(r"the following arguments are required: (.*)", message):
        names = [f"--{re.sub(r'^(fit|validate|test|predict)[.]', '', name)}" for name in found[1].split(", ")]
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        return None, f"{listed} must be given, on the command line or in a --config"
    if found := re.match(r"Key must be a string, got: (.*?)\.$", message, re.MULTILINE):
        return found[1], f"there is no option {found[1]}: a key is a name"
    if found := re.match(r"argument (\S+): expected (.*)", message):
        return None, f"{found[1]} needs a value: expected {found[2]}"
    keys = re.findall(r'Parser key "([^"]+)":', message)
    if not keys:
        if found := re.search(r"[Oo]ption '([^']+)'", message):
            group = re.match(r"Group '([^']+)'", message)
            name = found[1] if group is None else f"{group[1]}.{found[1]}"
            return name, f"there is no option {name}{did_you_mean(name, known)}"
        return None, _joined(message)
    key = ".init_args.".join(one for one, before in zip(keys, ["", *keys], strict=False) if one != before)
    refused, text = _explain_value(message)
    return (key if refused is None else f"{key}.init_args.{refused}"), f"{key}: {text}"


def _explain_value(message: str) -> tuple[str | None, str]:
    """An option that a class does not have, if that is it; and what is wrong with a value."""
    if found := re.search(IN_CLASS_OF_UNION, message):
        return _explain_option(found[2], dedent(found[3]))
    classes = re.findall(r"class_path[ =]'([\w.]+)'", message)
    if found := re.search(r"Option '([\w.]+)' is not accepted", message):
        return _explain_option(classes[-1] if classes else "it", message)
    if found := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", message):
        module, name = found.groups()
        return None, f"there is no {module}.{name}{did_you_mean(f'{module}.{name}', _classes([f'{module}.']))}"
    if found := re.search(r'Unable to load config "(.*)"\s*$', message):  # the value of a group, on the command line
        return None, f"expected keys with values, got {found[1]!r}"
    if found := re.search(r"'(\w+)' object has no attribute 'keys'", message):
        return None, f"init_args: expected keys with values, got {found[1]}"
    is_number = re.search(r"Expected a <class '(?:int|float)'>", message)
    if (found := re.search(r"Expected a dot import path string: (\S+)", message)) and not is_number:
        close = did_you_mean(found[1], _classes(PACKAGES))
        return None, f"{found[1]!r} names no class; write it with its module{close}"
    in_callable = r"expects a function or a callable class: (?!Expected a <|Parser key)(.*?)\.*(?: Got value: .*)?$"
    if found := re.search(in_callable, message, re.M):
        return None, found[1]
    expected = re.findall(r"Expected a (?!path but)(?:member of )?(.*?)(?:\. Got value: |$)", message, re.M)
    value = re.search(r"(?:Given|Got) value: (.*?)(?:\. Got value: .*)?$", message, re.M)
    if not expected or value is None:
        return None, _joined(re.sub(r"(?m)^ *- Expected a path but .*$", "", message.rpartition('":')[2]))
    given = re.sub(r"^NestedArg\(key='[\w.]+', val='(.*)'\)$", r"\1", value[1])
    choices = [choice for one in expected for choice in _choices(one)]
    words = [_in_words(one) for one in expected if not _choices(one) and not one.startswith("dot import path")]
    words = [word for word in dict.fromkeys(words) if word != "null" or (len(expected) == 1)]
    words += [f"one of {', '.join(dict.fromkeys(choices))}"] if choices else []
    return None, f"expected {' or '.join(words)}, got {given!r}{did_you_mean(given, choices)}"


def _explain_option(class_path: str, message: str) -> tuple[str | None, str]:
    """What is wrong with an option of a class, as `_explain_value` has it."""
    if found := re.search(r"the following arguments are required: (.*)", message):
        return None, f"{class_path} needs {found[1]}: give it as init_args.{found[1].partition(',')[0]}"
    if found := re.search(r"Option '([\w.]+)' is not accepted", message):
        return found[1], f"{class_path} has no option {found[1]}{did_you_mean(found[1], _options_of(class_path))}"
    return None, f"{class_path}: {_explain_value(message)[1]}"


def not_made(error: ValueError) -> str:
    """Return one line of what a class said against its options when it was made.

    Args:
        error: of jsonargparse, which had tried all that an argument may be: its cause is what was tried first.
    """
    first: BaseException = error
    while first.__cause__ is not None:
        first = first.__cause__
    classes = re.findall(r"class_path='([\w.]+)'", str(error).rpartition("Given value:")[2])
    named = f"{classes[0]}: " if len(classes) == 1 else ""
    return f"{named}{_joined(re.sub(IN_CLASS, '', str(first)))}"


def _choices(expected: str) -> list[str]:
    """The values of a literal or the names of an enumeration, as the library prints them."""
    if found := re.search(r"Literal\[(.*)\]|\{(.*)\}", expected):
        return [choice.strip().strip("'\"") for choice in (found[1] or found[2]).split(",")]
    return []


def _in_words(expected: str) -> str:
    name = re.sub(r"^<class '([\w.]+)'>$", r"\1", expected)
    return TYPES.get(name, name)


def _options_of(class_path: str) -> list[str]:
    """Names that a class takes, its bases' too; none where it has not been imported."""
    module, _, name = class_path.rpartition(".")
    made = getattr(sys.modules.get(module), name, None)
    bases = made.__mro__[:-1] if isinstance(made, type) else ()
    return [option for base in bases for option in inspect.signature(base).parameters]


def _classes(packages: Iterable[str]) -> list[str]:
    """Paths of the classes that the imported modules of some packages have."""
    modules = [name for name in sys.modules if f"{name}.".startswith(tuple(packages)) and "._" not in name]
    return [
        f"{module}.{name}"
        for module in sorted(modules, key=len)
        for name, value in vars(sys.modules[module]).items()
        if isinstance(value, type)
    ]


def _joined(message: str) -> str:
    return shorten(message, LONGEST, placeholder=" …")


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
