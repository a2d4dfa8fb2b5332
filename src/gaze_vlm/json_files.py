"""JSON files: refused in one line where they are damaged, too large or nested without end; written all or nothing."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, BinaryIO, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from gaze_vlm.errors import InputError, MissingFileError, UserError
from gaze_vlm.output import write_atomically

T = TypeVar("T")
MOST_BYTES = 2**28  # of a file that is read as a whole; larger ones are read as a stream
DEEPEST = 64  # no file that we read has a tenth of it
PIECE_BYTES = 2**14
ESCAPED = re.compile(rb"\\.", re.DOTALL)
QUOTE = ord('"')
OPENING, CLOSING = tuple(b"[{"), tuple(b"]}")


class TooDeepError(ValueError):
    """JSON that is nested deeper than `DEEPEST`."""


class DepthLimit:
    """Count brackets outside strings, piece by piece.

    A parser that comes after would fill memory or its stack.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = False
        self.escape = False  # the last piece ended within an escape

    def check(self, text: bytes) -> None:
        """Take the next bytes of a text.

        Raises:
            TooDeepError: brackets nest too deep.
        """
        for start in range(0, len(text), PIECE_BYTES):
            self._check(text[start : start + PIECE_BYTES])

    def _check(self, piece: bytes) -> None:
        piece = ESCAPED.sub(b"", b"\\" + piece if self.escape else piece)
        self.escape = piece.endswith(b"\\")
        letters = np.frombuffer(piece, np.uint8)
        if not len(letters):
            return
        inside = (np.cumsum(letters == QUOTE) + self.in_string) % 2 == 1
        steps = np.isin(letters, OPENING).astype(np.int64) - np.isin(letters, CLOSING)
        levels = self.depth + np.cumsum(np.where(inside, 0, steps))
        if levels.max() > DEEPEST:
            raise TooDeepError(f"nested deeper than {DEEPEST} levels")
        self.depth, self.in_string = int(levels[-1]), bool(inside[-1])


class LimitedFile:
    """A file for a streaming JSON parser; deep nesting raises."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.limit = DepthLimit()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self.file.read(size)
        self.limit.check(piece)
        return piece


def read_json(path: Path, fix: str, most_bytes: int = MOST_BYTES) -> Any:
    """Read the value of a JSON file.

    Args:
        path: the file.
        fix: what to do about a damaged one, as in "run `gaze-vlm prepare` again".
        most_bytes: size of the largest file that is read.

    Raises:
        MissingFileError: there is no file.
        InputError: larger than `most_bytes`, not UTF-8, no JSON, or nested deeper than `DEEPEST`.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} is missing: {fix}")
    if (size := path.stat().st_size) > most_bytes:
        raise InputError(f"{path} is damaged ({size} bytes, and such a file has no more than {most_bytes}): {fix}")
    return parse_json(path.read_bytes(), path, fix)


def parse_json(text: bytes | str, where: Path | str, fix: str) -> Any:
    """Parse a JSON text.

    Args:
        text: the JSON.
        where: it is from, for messages.
        fix: advice, for messages.

    Raises:
        InputError: not UTF-8, no JSON, or nested deeper than `DEEPEST`.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        if content.count(b"[") + content.count(b"{") > DEEPEST:  # else it cannot be: most texts are a short line
            DepthLimit().check(content)
        return json.loads(content.decode("utf-8"))
    except ValueError as error:  # no JSON, not UTF-8, or a number of thousands of digits
        raise InputError(f"{where} is damaged ({error}): {fix}") from error


def parse_object(text: bytes | str, where: Path | str, fix: str) -> dict[str, Any]:
    """Parse a JSON object; see `parse_json`.

    Raises:
        InputError: damaged, or a value of another kind.
    """
    value = parse_json(text, where, fix)
    if not isinstance(value, dict):
        raise InputError(f"{where} holds {type(value).__name__}, not a JSON object: {fix}")
    return value


@contextmanager
def damage_refused(where: Path | str, fix: str) -> Iterator[None]:
    """Refuse values of a file that are missing, or of another type or range than the code inside takes.

    Raises:
        InputError: naming the file, what is wrong and the fix.
    """
    try:
        yield
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{where} is damaged ({error}): {fix}") from error


def from_json(cls: type[T], values: Any) -> T:
    """Make a dataclass of values with its fields' names and types.

    Lists become tuples.

    Raises:
        TypeError: a name that is missing or unknown, a value of another type, or a number that is not finite.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{shown(values)} where an object is expected")
    hints = get_type_hints(cls)
    known = {field.name: hints[field.name] for field in fields(cls)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in known:
            raise TypeError(f"{name if name.isidentifier() else shown(name)} is unknown")
        if not _is(value, known[name]):
            raise TypeError(f"{name} is {shown(value)}")
    tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return cls(**tuples)


def member(values: Mapping[str, Any], name: str, hint: Any) -> Any:
    """Return the value of a name in an object, of a type as a dataclass's field states it.

    Raises:
        KeyError: there is no such name.
        TypeError: a value of another type, a number that is not finite, or a text that has no form in UTF-8.
    """
    value = values[name]
    if not _is(value, hint) or (isinstance(value, str) and not _is_utf8(value)):
        raise TypeError(f"{name} is {shown(value)}")
    return value


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: object) -> str:
    """Write a value in a message, however long."""
    if isinstance(value, int) and abs(value) > 10**20:
        return f"a number of {value.bit_length()} bits"
    return f"a list of {len(value)}" if isinstance(value, list) else repr(value)[:40]


def _is(value: Any, hint: Any) -> bool:
    if isinstance(hint, UnionType):
        return any(_is(value, part) for part in get_args(hint))
    origin = get_origin(hint)
    if origin is tuple:  # of any number of one type
        return isinstance(value, list | tuple) and all(_is(one, get_args(hint)[0]) for one in value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(_is(one, get_args(hint)[1]) for one in value.values())
    if hint is Any:
        return True
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def write_json(path: Path, values: Mapping[str, Any], sort_keys: bool = False) -> None:
    """Write readable JSON, all or nothing.

    Raises:
        OutputError: the file system refused.
    """
    write_atomically(path, json.dumps(values, indent=1, sort_keys=sort_keys) + "\n")
