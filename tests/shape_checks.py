"""Checks arrays against the shapes that functions state, whenever a test calls them."""

from collections.abc import Callable
from inspect import get_annotations, isclass
from typing import Any, TypeVar, get_args

import jaxtyping
from beartype import beartype
from jaxtyping import AbstractArray, install_import_hook, jaxtyped

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


def jaxtyped_where_shapes_stand(typechecker: Callable[[F], F]) -> Callable[[F], F]:
    """Decorate as `jaxtyping.jaxtyped` does, and leave alone what states no shapes: a call costs 25 µs more else."""
    decorate = jaxtyped(typechecker=typechecker)

    def decorated(thing: F) -> F:
        annotations = get_annotations(thing.__init__ if isclass(thing) else thing).values()
        stated = any(isinstance(one, str) or states_shapes(one) for one in annotations)
        return decorate(thing) if stated else thing

    return decorated


jaxtyping.jaxtyped = jaxtyped_where_shapes_stand  # what the import hook writes above each function and class
install_import_hook("gaze_vlm", "shape_checks.check_shapes")
