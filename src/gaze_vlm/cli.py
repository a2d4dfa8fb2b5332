"""The command line: `lightning fit|validate|test|predict`, and the commands of `gaze-vlm` below."""

import errno
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from gaze_vlm.command_line.class_paths import restrict_imports, take_allowed_packages
from gaze_vlm.command_line.quiet import show_warnings_plainly
from gaze_vlm.errors import OptionError, UserError
from gaze_vlm.foreign_text import visible
from gaze_vlm.suggestions import did_you_mean

TRAINING = {
    "fit": "train a run",
    "validate": "score a checkpoint on the validation clips",
    "test": "score a checkpoint on the test clips",
    "predict": "describe clips",
}
COMMANDS = {  # name: (function, what it does); imported only when called, so that help is quick
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
    "doctor": (
        "gaze_vlm.doctor.doctor:doctor",
        "show what a training would be and what would fail, without any weights",
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
}
INTERRUPTED = 130  # status after Ctrl-C, as the shell has it
USAGE = """usage: gaze-vlm COMMAND [options]      (or `lightning`, or `python -m gaze_vlm`)

{commands}

`gaze-vlm COMMAND --help` lists a command's options. A configuration may name classes of known packages alone;
--allow_packages A,B allows the packages A and B too, with any command."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status.

    An error of the user's is one line, any other a traceback.
    """
    args = list(sys.argv[1:] if args is None else args)
    show_warnings_plainly()
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
        _run(args[0], take_allowed_packages(args[1:]))
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        print(f"gaze-vlm {args[0]}: error: {visible(message)}", file=sys.stderr)
        return 2 if isinstance(error, OptionError) else 1
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        print(f"gaze-vlm {args[0]}: interrupted", file=sys.stderr)
        return INTERRUPTED  # where Lightning would exit with 1
    return 0


def _run(command: str, args: list[str]) -> None:
    from gaze_vlm.command_line.options import OneLineParser, join_lists, set_switches, underscored

    args = underscored(args)
    if command in TRAINING:
        import_module("gaze_vlm.training.lightning_cli").train([command, *args])
        return
    from docstring_parser import DocstringStyle
    from jsonargparse import set_parsing_settings

    from gaze_vlm.command_line.composition import naming_files

    set_parsing_settings(docstring_parse_style=DocstringStyle.GOOGLE)
    restrict_imports()
    module, name = COMMANDS[command][0].split(":")
    function = getattr(import_module(module), name)
    parameters = inspect.signature(function, eval_str=True).parameters
    if list(parameters) == ["args"]:  # those of `lightning fit`, which it parses itself
        function(args)
        return
    parser = OneLineParser(prog=f"gaze-vlm {command}", description=COMMANDS[command][1])
    has_config = "config" in parameters  # `compare` has one of its own
    if not has_config:
        parser.add_argument("--config", action="config", help="a YAML with these options")
    parser.add_function_arguments(function, as_positional=False)
    lists = {f"--{name}" for name, parameter in parameters.items() if "list" in str(parameter.annotation)}
    switches = {f"--{name}" for name, parameter in parameters.items() if parameter.annotation is bool}
    with naming_files([] if has_config else args):
        options = parser.instantiate_classes(parser.parse_args(set_switches(join_lists(args, lists), switches)))
    function(**{name: options[name] for name in parameters})


def _message(error: BaseException | None) -> str | None:
    """What the user is shown of an error: of the first among its causes that is the user's, or that the file system
    raised with a file's name; None where it is a fault of ours, such as one that happened on the way from another."""
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
