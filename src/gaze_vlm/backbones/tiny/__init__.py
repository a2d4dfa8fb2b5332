"""Tiny models of the real classes with random weights and real processors, small enough for a CPU."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from gaze_vlm.backbones.base import Backbone


@dataclass(frozen=True)
class TinyFamily:
    """How a family's tiny model is built and loaded.

    It has 8 × 8 visual tokens for a frame of the kitchen. `build` takes the vocabulary and a seed. `pools` says whether
    the language model can read one token a frame in place of the patches.
    """

    make: type[Backbone]
    build: Callable[..., tuple[Any, Any]]
    frame_size_px: tuple[int, int] | None = None
    pools: bool = True


def tiny_families() -> dict[str, TinyFamily]:
    """Collect the `FAMILIES` of every builder in this folder, by name."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return {name: family for module in modules for name, family in getattr(module, "FAMILIES", {}).items()}
