"""What is said of a wrong option, in one line, with what may have been meant."""

import inspect
import re
import sys
from collections.abc import Iterable
from textwrap import dedent, shorten

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
