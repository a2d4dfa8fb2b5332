"""The help of a training: our options and the usual ones of the trainer, a line each; all of them on request."""

import argparse
import re
import shutil
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

from jsonargparse import ArgumentParser, DefaultHelpFormatter

NARROWEST, WIDEST = 80, 120
NAME_WIDTH = 36
USUAL = {
    "config": "a YAML of options; give it several times, and the later one counts",
    "print_config": "print all options with their values, and end",
    "seed_everything": "draws weights, clips and their order; true draws a seed",
    "ckpt_path": "checkpoint to begin from: a file, `best` or `last` of the run directory",
    "trainer.accelerator": "cpu, gpu or auto",
    "trainer.devices": "how many GPUs or processes, or the numbers of the GPUs",
    "trainer.num_nodes": "machines of a cluster",
    "trainer.strategy": "ddp, fsdp2 of this package, or another of Lightning",
    "trainer.precision": "bf16-mixed, 16-mixed, 32-true or another",
    "trainer.max_steps": "optimiser steps of the training; -1 leaves it to max_epochs",
    "trainer.max_epochs": "passes over the training clips",
    "trainer.max_time": "time after which it stops, as DD:HH:MM:SS",
    "trainer.accumulate_grad_batches": "batches of an optimiser step",
    "trainer.gradient_clip_val": "norm that gradients are clipped to",
    "trainer.log_every_n_steps": "optimiser steps from one line of the log to the next",
    "trainer.limit_train_batches": "batches of an epoch, a number or a share",
    "trainer.limit_val_batches": "batches of a validation, a number or a share",
    "trainer.limit_test_batches": "batches of a test, a number or a share",
    "trainer.fast_dev_run": "try so many batches of each stage, and write nothing",
    "trainer.logger": "loggers beside the run's own metrics.csv",
    "trainer.callbacks": "callbacks beside the run's own",
}
"""What the short page says of Lightning's options; of the trainer it shows no others."""
GROUPS = {
    "run": "the run",
    "data": "the clips and their gaze",
    "model": "the model and its training",
    "trainer": "Lightning's trainer, the usual options",
}
MORE = """\
{command} --help=data         all that is said of the options that begin with data, or with any other name
{command} --help=all          the same of all options
{command} --model.backbone.help gaze_vlm.backbones.Llava
                              options of a class; so with each option that takes one"""


class ExamplesFormatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """The library's help, with the lines of examples left as they are."""


class HelpAction(argparse._HelpAction):
    """`--help` prints the short page, `--help=all` the whole one, `--help=PREFIX` that of some options."""

    def __init__(self, option_strings: Sequence[str], **options: Any) -> None:
        super().__init__(
            option_strings, help="show our options and the usual ones; =all shows all, =data all that begin with data"
        )
        self.nargs, self.metavar = argparse.OPTIONAL, "PREFIX"

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        """Print and exit."""
        assert isinstance(parser, ArgumentParser)
        if values is None:
            page = short_page(parser)
        else:
            page = parser.format_help() if values == "all" else options_page(parser, values.lstrip("-"))
        if not page:
            parser.error(f"unrecognized arguments: --{values.lstrip('-')}")
        print(page)
        parser.exit()


def short_page(parser: ArgumentParser) -> str:
    """Return the help of a training's parser, with a line an option."""
    command = parser.prog.replace(" [options]", "")
    required = {one.split()[0].lstrip("-") for one in _said(parser) if "(required, " in one}
    options = [action for action in parser._actions if _is_option(action)]
    groups = {title: [one for one in options if _of(one, name)] for name, title in GROUPS.items()}
    rest = [one for one in options if not any(one in group for group in groups.values())]
    lines = [f"usage: {command} --config FILE [--config FILE …] [--OPTION=VALUE …]", "", str(parser.description), ""]
    for title, group in {"": rest, **groups}.items():
        lines += [f"{title}:"] if title else []
        lines += [*(_line(action, action.dest in required) for action in group), ""]
    epilog = [] if parser.epilog is None else ["", parser.epilog]
    return "\n".join([*lines, "more:", *(f"  {x}" for x in MORE.format(command=command).splitlines()), *epilog, ""])


def is_group(action: argparse.Action) -> bool:
    """Return whether a parser's option takes the options of a group or a dataclass, as keys with values."""
    return action.metavar == "CONFIG"


def _is_option(action: argparse.Action) -> bool:
    """Whether an option has a line on the short page: no help on a class, and no YAML of a group."""
    name = action.dest
    return (
        bool(action.option_strings)
        and not any(option.endswith(".help") for option in action.option_strings)
        and name not in (argparse.SUPPRESS, "help", "weights_only")
        and action.help != argparse.SUPPRESS
        and action.option_strings[0].startswith("-")  # no link of one option to another
        and not is_group(action)
        and (name in USUAL or not name.startswith("trainer."))
    )


def _of(action: argparse.Action, group: str) -> bool:
    return action.dest.startswith(f"{group}.")


def _line(action: argparse.Action, required: bool) -> str:
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    name = next((option for option in action.option_strings if option.startswith("--")), action.option_strings[0])
    text = USUAL.get(action.dest) or first_part(action.help or "")
    default = " (required)" if required else _default(action)
    room = width - max(NAME_WIDTH, len(name)) - len(default) - 3
    return f"  {name:{NAME_WIDTH}} {shorten(text, room, placeholder=' …')}{default}"


def first_part(text: str) -> str:
    """Return the first sentence of a help."""
    return re.split(r"[.;] ", " ".join(text.split()))[0].rstrip(".")


def _default(action: argparse.Action) -> str:
    default = action.default
    if isinstance(default, Mapping):
        default = default.get("class_path")
    if isinstance(default, bool):
        default = str(default).lower()
    if isinstance(default, float):
        default = f"{default:.4g}"
    if isinstance(default, (list, tuple)):
        default = ", ".join(map(str, default))
    return "" if default in (None, argparse.SUPPRESS, "") else f" ({default})"


def options_page(parser: ArgumentParser, prefix: str) -> str:
    """Return all that is said of the options that begin with a prefix; empty where none does."""
    return "\n".join(one for one in _said(parser) if one.startswith(f"  --{prefix}"))


def _said(parser: ArgumentParser) -> list[str]:
    """What the whole help says, an option each. It alone knows which are required: parsing takes that off an option."""
    options = re.split(r"(?m)^(?=  -)", parser.format_help())[1:]
    return [one.partition("\n\n")[0].rstrip() for one in options]
