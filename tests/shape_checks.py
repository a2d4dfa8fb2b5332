"""Checks arrays against the shapes that functions state, whenever a test calls them."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

from beartype import beartype
from jaxtyping import AbstractArray, install_import_hook

F = TypeVar("F", bound=Callable[..., Any])


def states_shapes(annotation: object) -> bool:
    """Whether an annotation, or a part of it, is an array with named axes."""
    is_array = isinstance(annotation, type) and issubclass(annotation, AbstractArray)
    return is_array or any(states_shapes(part) for part in get_args(annotation))


def check_shapes(function: F) -> F:
    """Check the arguments and the result of a function that are arrays with named axes, and nothing else."""
    annotations = function.__annotations__
    function.__annotations__ = {name: value for name, value in annotations.items() if states_shapes(value)}
    checked = beartype(function) if function.__annotations__ else function
    function.__annotations__ = checked.__annotations__ = annotations
    return checked


install_import_hook("gaze_vlm", "shape_checks.check_shapes")
