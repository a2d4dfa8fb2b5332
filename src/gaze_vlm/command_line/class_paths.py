"""Which classes a configuration may name: those that a run is made of, in packages that are known or were allowed.

A run's config.yaml is shared. Without this, one that names `os.system` as its optimizer would run a command.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from pydoc import locate
from typing import Any

from gaze_vlm.errors import InputError

KNOWN = (
    *("gaze_vlm", "torch", "lightning", "pytorch_lightning", "transformers", "timm", "peft", "torchmetrics"),
    "bitsandbytes",
)
OPTION, VARIABLE = "--allow_packages", "GAZE_VLM_ALLOW_PACKAGES"
ADVICE = f"if you trust it and this configuration, add {OPTION}"


def take_allowed_packages(args: Sequence[str]) -> list[str]:
    """Take `--allow_packages A,B` out of a command line.

    It holds for this process and those that it starts. It is no option of the parser, so that no YAML can set it.

    Raises:
        InputError: a value that is no package's name.
    """
    rest: list[str] = []
    values = iter(args)
    for arg in values:
        name, _, value = arg.partition("=")
        if name.replace("-", "_") != OPTION.replace("-", "_"):
            rest.append(arg)
            continue
        packages = [part.strip() for part in (value or next(values, "")).split(",")]
        for package in packages:
            if not package.isidentifier():
                raise InputError(f"{OPTION} {package!r} is no package's name: give such as {OPTION} my_lab,other")
        os.environ[VARIABLE] = ",".join([*allowed_packages(), *packages])
    return rest


def allowed_packages() -> tuple[str, ...]:
    """Return the packages allowed beside the known ones."""
    return tuple(filter(None, os.environ.get(VARIABLE, "").split(",")))


def restrict_imports() -> None:
    """Let jsonargparse import from known and allowed packages alone.

    It checks a path before the import, and after it the path at which the object was defined. A dictionary with a
    `class_path` where any value is taken stays a dictionary.
    """
    from jsonargparse import set_parsing_settings

    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[*KNOWN, *allowed_packages()],
        instantiate_subclass_spec_in_any=False,
    )


def refused_import(message: str) -> str | None:
    """Return the message of an import that jsonargparse refused, else None."""
    refused = re.search(r"Importing '([\w.]+)' is not allowed", message)
    return None if refused is None else _not_known(refused.group(1))


def check_classes(config: Any) -> None:
    """Refuse a parsed configuration that names a class that no run is made of.

    jsonargparse holds a value to the class that the argument expects. An argument that takes any callable, such as one
    for an optimizer, would take any function, and call it.

    Raises:
        InputError: naming the argument and the class or function.
    """
    for key, named in _named(config, ""):
        of_whom = named if hasattr(named, "__qualname__") else type(named)
        where = f"{of_whom.__module__}.{of_whom.__qualname__}"
        if where.partition(".")[0] in allowed_packages():
            continue
        if not isinstance(named, type):
            raise InputError(f"{key}: {where} is no class: name one; {ADVICE} {where.partition('.')[0]}")
        if not (issubclass(named, _kinds()) or _is_plain(named)):
            raise InputError(
                f"{key}: {where} is no optimizer, schedule, callback, logger, strategy, plugin, profiler, backbone, "
                f"block, regularizer or encoder: name one; {ADVICE} {where.partition('.')[0]}"
            )


def _not_known(path: str) -> str:
    return (
        f"the configuration names {path}, which is of none of the known packages ({', '.join(KNOWN)}): "
        f"{ADVICE} {path.partition('.')[0]}"
    )


def _named(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Classes and functions in a configuration, with the keys that they stand at."""
    from jsonargparse import Namespace, Path

    if isinstance(value, Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        if isinstance(value.get("class_path"), str):
            yield key, _imported(value["class_path"])
        for name, inner in value.items():
            yield from _named(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for number, inner in enumerate(value):
            yield from _named(inner, f"{key}[{number}]")
    elif callable(value) and not isinstance(value, Path) and not _is_layer(value):
        yield key, value


def _imported(path: str) -> Any:
    """What a class path names."""
    if path.partition(".")[0] not in (*KNOWN, *allowed_packages()):
        raise InputError(_not_known(path))
    named = locate(path)
    if named is None:
        raise InputError(f"the configuration names {path}, and there is no such class: correct the name")
    return named


def _is_plain(named: type) -> bool:
    """Whether a class only holds values, as the settings of a strategy do."""
    return is_dataclass(named) and "__call__" not in dir(named)


def _is_layer(value: Any) -> bool:
    """Whether it is a class of layers, which a strategy names, and does not make."""
    from torch import nn

    return isinstance(value, type) and issubclass(value, nn.Module)


@cache
def _kinds() -> tuple[type, ...]:
    """What a run is made of."""
    from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment, Precision
    from lightning.pytorch import Callback
    from lightning.pytorch.accelerators import Accelerator
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.plugins import LayerSync
    from lightning.pytorch.profilers import Profiler
    from lightning.pytorch.strategies import Strategy
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from gaze_vlm.attention import GazeBlock, GazeRegularizer
    from gaze_vlm.backbones.base import Backbone
    from gaze_vlm.metrics.semantic import MiniLM

    of_lightning = (Accelerator, Callback, CheckpointIO, ClusterEnvironment, LayerSync, Logger, Precision, Profiler)
    return (*of_lightning, Strategy, Optimizer, LRScheduler, Backbone, GazeBlock, GazeRegularizer, MiniLM)
