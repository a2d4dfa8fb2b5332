"""The parser of a command line: how it reads options, and what it refuses."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import register_type

from gaze_vlm.command_line.class_paths import refused_import
from gaze_vlm.command_line.help_page import ExamplesFormatter, is_group
from gaze_vlm.command_line.wrong_options import explain
from gaze_vlm.errors import InputError, OptionError, UserError
from gaze_vlm.foreign_text import visible
from gaze_vlm.home import home_path


class OneLineParser(ArgumentParser):
    """A parser that takes no abbreviation, and whose errors are one line.

    A path that begins with `~` is in a home folder: no shell expands it in a YAML, nor behind `--root=`.

    Args:
        examples: command lines that end its help.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        epilog = "\n".join(["examples:", *(f"  {line}" for line in examples)]) if examples else None
        ours = {"allow_abbrev": False, "formatter_class": ExamplesFormatter, "epilog": epilog}
        super().__init__(*args, **{**ours, **kwargs})
        register_type(Path, str, home_path, fail_already_registered=False)

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
