"""The command line: `lightning fit|validate|test|predict`, and the commands of `gaze-vlm` below."""

import errno
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from gaze_vlm.command_line.class_paths import take_allowed_packages
from gaze_vlm.command_line.encoding import check_encoding
from gaze_vlm.command_line.examples import EXAMPLES, TRAINING
from gaze_vlm.command_line.quiet import leave_out_bars
from gaze_vlm.command_line.standard_output import drop_if_refused, is_unread, take_any_letter
from gaze_vlm.command_line.stopping import RESUMING, TERMINATED, ended_by_sigterm, stopped_as
from gaze_vlm.errors import OptionError, UserError
from gaze_vlm.foreign_text import visible
from gaze_vlm.progress import show_warnings_plainly
from gaze_vlm.suggestions import did_you_mean

COMMANDS = {  # name: (function, what it does); imported only when called, so that help is quick
    "demo": ("gaze_vlm.comparison.demo:demo", "from nothing to the table, on a small kitchen, in minutes"),
    "kitchen": (
        "gaze_vlm.kitchen.build:build_kitchen",
        "render the embedded kitchen in a data set's own files",
    ),
    "prepare": ("gaze_vlm.preparation.runner:prepare", "make a store of clips and gaze from a data set's files"),
    "quality": (
        "gaze_vlm.report.quality:report_quality",
        "show how good a store's gaze is: a page and a contact sheet",
    ),
    "backbone": ("gaze_vlm.pretraining.from_scratch:make_backbone", "train a tiny model on the kitchen's stills"),
    "narrator": (
        "gaze_vlm.backbones.compose:compose_narrator",
        "join a vision transformer of timm and a GPT-2 into a checkpoint",
    ),
    "small-model": (
        "gaze_vlm.pretraining.small_model:make_small_model",
        "make a small LLaVA of real pretrained parts that packages carry",
    ),
    "caption": ("gaze_vlm.inference.caption:caption", "describe any videos, window by window"),
    "doctor": (
        "gaze_vlm.doctor.command:doctor",
        "show what a training would be and what would fail; without options, check the installation",
    ),
    "compare": ("gaze_vlm.comparison.compare:compare", "train and test arms × seeds, and write the table"),
    "power": (
        "gaze_vlm.comparison.power:power",
        "say how many sessions show a difference, from a pilot's runs",
    ),
    "report": (
        "gaze_vlm.report.report:report",
        "write the page of a comparison: tables, and clips with gaze and attention",
    ),
    "export": ("gaze_vlm.export.export:export", "write a run's model for `transformers`, or what was trained of it"),
    "forgetting": ("gaze_vlm.forgetting.forgetting:forgetting", "ask runs what their model knew before the training"),
    "attention": ("gaze_vlm.report.attention:picture_attention", "picture frames with gaze and attention"),
    "look": ("gaze_vlm.look.look:look", "show where a model looks while it answers: a page, and a figure"),
    "alignment": (
        "gaze_vlm.report.alignment:picture_alignment",
        "picture how well each head of each layer attends to gaze",
    ),
    "completion": ("gaze_vlm.cli:completion", "print the script by which a shell completes commands and options"),
}
UNREAD = 141  # status where nobody reads what is printed any more, as behind `| head`, as the shell has it
USAGE = """usage: gaze-vlm COMMAND [options]      (or `lightning`, or `python -m gaze_vlm`)

{commands}

`gaze-vlm COMMAND --help` lists a command's options. A configuration may name classes of known packages alone;
--allow_packages A,B allows the packages A and B too, with any command."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status.

    An error of the user's is one line, any other a traceback.
    """
    take_any_letter()
    try:
        return _status(args)
    except BrokenPipeError:
        if not is_unread():
            raise
        return UNREAD
    finally:
        drop_if_refused()


def _status(args: Sequence[str] | None) -> int:
    args = list(sys.argv[1:] if args is None else args)
    show_warnings_plainly()
    leave_out_bars()
    if not args or args[0] in ("-h", "--help"):
        described = {**TRAINING, **{name: what for name, (_, what) in COMMANDS.items()}}
        print(USAGE.format(commands="\n".join(f"  {name:11} {what}" for name, what in described.items())))
        return 0
    if args[0] not in TRAINING and args[0] not in COMMANDS:
        elsewhere = _other_lightning() if Path(sys.argv[0]).stem == "lightning" else None
        if elsewhere is not None:
            return elsewhere() or 0
        names = [*TRAINING, *COMMANDS]
        print(
            f"gaze-vlm: no command {args[0]!r}: choose from {', '.join(names)}{did_you_mean(args[0], names)}",
            file=sys.stderr,
        )
        return 2
    try:
        if not {"-h", "--help"} & {*args}:
            check_encoding()
        with nullcontext() if args[0] in TRAINING else ended_by_sigterm():  # a training hears it itself
            _run(args[0], take_allowed_packages(args[1:]))
        print(end="", flush=True)  # a full disk behind `> FILE` is an error here
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        print(f"gaze-vlm {args[0]}: error: {visible(message)}", file=sys.stderr)
        return 2 if isinstance(error, OptionError) else 1
    except (KeyboardInterrupt, SystemExit) as stop:
        stopped = stopped_as(stop)
        if stopped is None or (args[0] in TRAINING and stopped[0] == TERMINATED):  # a training says how to resume
            raise
        status, how = stopped
        resumes = "; the same command goes on from what is finished" if args[0] in RESUMING else ""
        print(f"gaze-vlm {args[0]}: {how}{resumes}", file=sys.stderr)
        return status
    return 0


def _run(command: str, args: list[str]) -> None:
    from gaze_vlm.command_line.arguments import name_nothing, underscored

    args = underscored(args)
    if command in TRAINING:
        import_module("gaze_vlm.training.lightning_cli").train([command, *name_nothing(args)])
        return
    if _takes_training(command):
        _function(command)(name_nothing(args))
        return
    from gaze_vlm.command_line.function_command import call_function

    call_function(_function(command), args, command, COMMANDS[command][1], EXAMPLES.get(command, ()))


def completion(shell: Literal["bash", "zsh"] = "bash") -> None:
    """Print the script by which a shell completes `gaze-vlm` and `lightning`.

    Args:
        shell: whose script to print; docs/install.md says where it goes.
    """
    from gaze_vlm.command_line.completion import Described, completion_script
    from gaze_vlm.command_line.function_command import function_parser
    from gaze_vlm.training.lightning_cli import training_parser

    of_training = training_parser()
    parsers: dict[str, Described] = {name: (of_training, what) for name, what in TRAINING.items()}
    for name, (_, what) in COMMANDS.items():
        parser = of_training if _takes_training(name) else function_parser(_function(name), name, what)
        parsers[name] = (parser, what)
    print(completion_script(parsers, shell, ("gaze-vlm", "lightning")))


def _takes_training(command: str) -> bool:
    """Whether a command takes the options of `lightning fit`, and parses them itself."""
    return [*signature(_function(command)).parameters] == ["args"]


def _function(command: str) -> Callable[..., Any]:
    module, name = COMMANDS[command][0].split(":")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]


def message_of(error: BaseException | None) -> str | None:
    """Return what the user is shown of an error; None where it is a fault of ours.

    It is of the first among its causes that is the user's, or that the file system raised with a file's name. One that
    happened on the way from another is a fault of ours.
    """
    while error is not None:
        if isinstance(error, UserError):
            return _from_worker(str(error))
        if isinstance(error, OSError) and error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return f"{error.strerror}: make room, and run the same command again"
        error = error.__cause__
    return None


def _from_worker(text: str) -> str:
    """The message of an error that a loader's process passed on with its traceback."""
    if not re.match(r"Caught \w+ in DataLoader worker process", text):
        return text
    return text.strip().rpartition("\ngaze_vlm.errors.")[2].partition(": ")[2]


def _other_lightning() -> Callable[[], int | None] | None:
    """The `lightning` command of the Lightning platform's SDK, where that is installed."""
    try:
        scripts = distribution("lightning_sdk").entry_points
    except PackageNotFoundError:
        return None
    return next((script.load() for script in scripts if script.name == "lightning"), None)
