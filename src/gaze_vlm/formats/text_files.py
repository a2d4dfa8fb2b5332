"""CSV and JSON as data sets ship them; what cannot be read is named by file and line."""

import csv
import math
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import ijson

from gaze_vlm.errors import InputError

T = TypeVar("T")


def csv_rows(path: Path, columns: Sequence[str], order: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV file: the number of the line, and the fields of `columns`.

    Columns are found by their names in the first line. A file whose first line has none of the names has no header;
    its columns stand in `order`. Blank lines are skipped.

    Raises:
        ValueError: an empty file, one that is not UTF-8, a header that lacks a column, or a row that is too short or
            too long.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes): copy or download it again")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(csv.reader(file), columns, order, path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8 ({error}): download or save it again as one") from error


def _rows(
    lines: Any,  # a csv.reader, whose type has no public name
    columns: Sequence[str],
    order: Sequence[str],
    path: Path,
) -> Iterator[tuple[int, list[str]]]:
    places: list[int] = []
    width = 0
    for fields in lines:
        if not any(field.strip() for field in fields):
            continue
        if not places:
            names = [field.strip() for field in fields]
            header = not set(columns).isdisjoint(names)
            names = names if header else list(order)
            missing = [name for name in columns if name not in names]
            if missing:
                raise InputError(f"{path}: no column {', '.join(missing)} in the header; download the file again")
            places, width = [names.index(name) for name in columns], len(names)
            if header:
                continue
        if len(fields) != width:
            raise InputError(
                f"{path}, line {lines.line_num}: {len(fields)} values where {width} are expected; "
                "is the file cut short? Download it again"
            )
        yield lines.line_num, [fields[place] for place in places]


def csv_header(path: Path) -> list[str]:
    """Names in the first line of a CSV file that is not blank.

    Raises:
        ValueError: an empty file, or one that is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next((fields for fields in csv.reader(file) if any(field.strip() for field in fields)), None)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8 ({error}): download or save it again as one") from error
    if names is None:
        raise InputError(f"{path} is empty: copy or download it again")
    return [name.strip() for name in names]


def number(field: str, name: str, path: Path, line: int) -> float:
    """The number in a field; NaN where it is empty.

    Raises:
        ValueError: the field is no number.
    """
    if not field.strip():
        return math.nan
    try:
        return float(field)
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {name} is {field!r}, not a number; mend or delete the row") from error


def finite(field: str, name: str, path: Path, line: int) -> float:
    """The number in a field.

    Raises:
        ValueError: the field is empty, or no finite number.
    """
    value = number(field, name, path, line)
    if not math.isfinite(value):
        raise InputError(f"{path}, line {line}: {name} is {field!r}, not a finite number; mend or delete the row")
    return value


def json_members(path: Path, place: str) -> Iterator[tuple[str, Any]]:
    """Names and values of the JSON object at `place`, "" for the file's own, one by one, for all of a file may be more
    than memory should hold. None if there is no object.

    Raises:
        ValueError: no file, not JSON, or not an object as a whole.
    """
    return _streamed(path, lambda file: ijson.kvitems(file, place, use_float=True))


def json_elements(path: Path, place: str) -> Iterator[Any]:
    """Elements of the JSON array at `place`, likewise."""
    return _streamed(path, lambda file: ijson.items(file, f"{place}.item", use_float=True))


def _streamed(path: Path, parse: Callable[[BinaryIO], Iterator[T]]) -> Iterator[T]:
    try:
        with path.open("rb") as file:
            start = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
            file.seek(start)
            event, _ = next(ijson.basic_parse(file))
            if event != "start_map":
                raise InputError(f"{path} holds no JSON object ({event}): download it again")
            file.seek(start)
            yield from parse(file)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: download it") from error
    except ijson.JSONError as error:  # also if it is not UTF-8
        raise InputError(f"{path} is not JSON ({str(error).splitlines()[0]}): download it again") from error
