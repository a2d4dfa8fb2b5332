"""Commands that are functions: their parameters are the options, and their docstrings the help."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from docstring_parser import DocstringStyle
from jsonargparse import set_parsing_settings

from gaze_vlm.command_line.arguments import join_lists, name_nothing, set_switches
from gaze_vlm.command_line.class_paths import restrict_imports
from gaze_vlm.command_line.composition import naming_files, with_located_configs
from gaze_vlm.command_line.options import OneLineParser

Function = Callable[..., Any]


def function_parser(function: Function, command: str, description: str, examples: Sequence[str] = ()) -> OneLineParser:
    """Make the parser of a command.

    Args:
        function: what the command calls; its docstring describes the options.
        command: name of the command.
        description: what it does, in a line.
        examples: command lines, which end the help.
    """
    set_parsing_settings(docstring_parse_style=DocstringStyle.GOOGLE)
    restrict_imports()
    parser = OneLineParser(prog=f"gaze-vlm {command}", description=description, examples=examples)
    if "config" not in _parameters(function):  # `compare` has one of its own
        parser.add_argument("--config", action="config", help="a YAML with these options")
    parser.add_function_arguments(function, as_positional=False)
    return parser


def call_function(
    function: Function, args: list[str], command: str, description: str = "", examples: Sequence[str] = ()
) -> None:
    """Parse a command line into a function's parameters, and call it.

    Args:
        function: see `function_parser`, also for the others.
        args: the options.
        command: name of the command.
        description: for the help.
        examples: for the help.
    """
    parameters = _parameters(function)
    parser = function_parser(function, command, description, examples)
    types = {f"--{name}": str(parameter.annotation) for name, parameter in parameters.items()}
    lists = {name for name, type_ in types.items() if "list" in type_}
    numbers = {name for name in lists if re.search(r"list\[(int|float)\]", types[name])}
    optional = {name for name, type_ in types.items() if "None" in type_ and "str" not in type_}
    switches = {f"--{name}" for name, parameter in parameters.items() if parameter.annotation is bool}
    files, located = ([], args) if "config" in parameters else (args, with_located_configs(args))
    with naming_files(files):
        written = set_switches(join_lists(name_nothing(located, optional), lists, numbers), switches)
        options = parser.instantiate_classes(parser.parse_args(written))
    function(**{name: options[name] for name in parameters})


def _parameters(function: Function) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function, eval_str=True).parameters)
