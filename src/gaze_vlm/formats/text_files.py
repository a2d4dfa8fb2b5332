"""Lines of text and JSON as data sets ship them; what cannot be read is named by its file."""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import ijson

from gaze_vlm.errors import InputError
from gaze_vlm.json_files import LimitedFile, TooDeepError

T = TypeVar("T")
MOST_DIGITS = 15


def is_whole(text: str, most_digits: int = MOST_DIGITS) -> bool:
    """Return whether a text is a number without sign, of no more digits than any id, frame or time has."""
    return text.isdecimal() and len(text) <= most_digits


def read_lines(path: Path) -> list[str]:
    r"""Return the lines of a text file in UTF-8, without their ends.

    A line ends in `\n`, `\r\n` or `\r` alone: others' texts hold form feeds and U+2028 within a line.

    Raises:
        InputError: it is not UTF-8, or holds zero bytes.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text in UTF-8 ({error}): download or save it again as one") from error
    if "\0" in text:
        raise InputError(f"{path} holds zero bytes, as UTF-16 without its mark does: save it again in UTF-8")
    return text.split("\n") if text else []


def json_members(path: Path, place: str) -> Iterator[tuple[str, Any]]:
    """Yield names and values of the JSON object at `place`, one by one.

    `place` is "" for the file's own. The file is read as a stream, for it may be larger than memory. Nothing is yielded
    if there is no object.

    Raises:
        InputError: there is no file, or it is not a JSON object.
    """
    return _streamed(path, lambda file: ijson.kvitems(file, place, use_float=True))


def json_elements(path: Path, place: str) -> Iterator[Any]:
    """Yield the elements of the JSON array at `place`, one by one."""
    return _streamed(path, lambda file: ijson.items(file, f"{place}.item", use_float=True))


def _streamed(path: Path, parse: Callable[[LimitedFile], Iterator[T]]) -> Iterator[T]:
    try:
        with path.open("rb") as file:
            start = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
            file.seek(start)
            event, _ = next(ijson.basic_parse(LimitedFile(file)))
            if event != "start_map":
                raise InputError(f"{path} holds no JSON object ({event}): download it again")
            file.seek(start)
            yield from parse(LimitedFile(file))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: download it") from error
    except (ijson.JSONError, UnicodeDecodeError) as error:  # which of them, if it is not UTF-8, depends on where
        raise InputError(f"{path} is not JSON ({str(error).splitlines()[0]}): download it again") from error
    except TooDeepError as error:
        raise InputError(f"{path} is damaged ({error}): download it again") from error
