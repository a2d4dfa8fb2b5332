"""Completion of commands and options by a shell, as a script that is made once."""

import argparse
import re
from collections.abc import Mapping
from typing import Literal

import shtab
from jsonargparse import ArgumentParser

from gaze_vlm.command_line.help_page import first_part

Shell = Literal["bash", "zsh"]
Described = tuple[ArgumentParser, str]
"""A command's parser, and what the command does."""


def completion_script(parsers: Mapping[str, Described], shell: Shell, programs: tuple[str, str]) -> str:
    """Write the script by which a shell completes a program's commands and options.

    Values that are one of a few are completed too, others as names of files. The options of classes are not among
    them: with those of every optimiser and callback the script would have 100 MB.

    Args:
        parsers: of each command.
        shell: whose script.
        programs: the program, and its other name.
    """
    program, also = programs
    root = argparse.ArgumentParser(program)
    commands = root.add_subparsers()
    for name, (parser, what) in parsers.items():
        _add_options(commands.add_parser(name, help=what), parser)
    script = shtab.complete(root, shell)
    last_name = {"bash": rf"(?m)^complete .* {program}$", "zsh": rf"(?m)^(#compdef|.*\bcompdef .*) {program}$"}[shell]
    script = script.replace("$zsh_eval_context[-1] == eval ", "$zsh_eval_context[-1] == (eval|file) ")  # sourced, too
    return re.sub(last_name, lambda line: f"{line[0]} {also}", script)


def _add_options(plain: argparse.ArgumentParser, parser: ArgumentParser) -> None:
    for action in parser._actions:
        names = [name for name in action.option_strings if re.fullmatch(r"--?[\w.]+", name)]
        if not names or "--help" in names:
            continue
        few = re.fullmatch(r"\{(.*)\}", action.metavar if isinstance(action.metavar, str) else "")
        choices = few[1].split(",") if few else None
        option = plain.add_argument(*names, help=first_part(action.help or ""), choices=choices)
        if choices is None:
            option.complete = shtab.FILE  # type: ignore[attr-defined]
