"""Ranges of options, checked where an object is made, before anything is loaded. No range has room for NaN."""

import math
from collections.abc import Collection

from gaze_vlm.errors import InputError

LARGEST_SEED = 2**32 - 1  # what numpy takes


def at_least(least: float, **values: float | None) -> None:
    """Check that values are finite and not below `least`; None is left out.

    Raises:
        InputError: naming the value.
    """
    for name, value in values.items():
        if value is not None and not (value >= least and math.isfinite(value)):
            raise InputError(f"{name} is {value}; expected {least:g} or more")


def at_most(most: float, **values: float | None) -> None:
    """Check that values are not above `most`; None is left out.

    Raises:
        InputError: naming the value.
    """
    for name, value in values.items():
        if value is not None and not value <= most:
            raise InputError(f"{name} is {value}; expected {most:g} or less")


def above_zero(**values: float | None) -> None:
    """Check that values are finite and above 0; None is left out.

    Raises:
        InputError: naming the value.
    """
    for name, value in values.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise InputError(f"{name} is {value}; expected a number above 0")


def is_finite(**values: float) -> None:
    """Check that values are numbers, neither infinite nor NaN.

    Raises:
        InputError: naming the value.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise InputError(f"{name} is {value}; expected a finite number")


def in_unit_interval(**values: float) -> None:
    """Check that values are shares, in [0, 1].

    Raises:
        InputError: naming the value.
    """
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value}; expected a share in [0, 1]")


def one_of(known: Collection[str], **values: str) -> None:
    """Check that values are among the known ones.

    Raises:
        InputError: naming the value.
    """
    for name, value in values.items():
        if value not in known:
            raise InputError(f"{name} is {value!r}; expected one of {', '.join(known)}")


def is_seed(seed: int, name: str = "seed") -> None:
    """Check that every generator takes a seed.

    Raises:
        InputError: naming the value.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"{name} is {seed}; expected a whole number from 0 to {LARGEST_SEED}")
