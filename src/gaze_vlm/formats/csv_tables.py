"""Tables as data sets ship them, in CSV; what cannot be read is named by file and line."""

import csv
import math
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TextIO

from gaze_vlm.errors import InputError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
LETTERS = 400  # of the columns in a message
SEPARATOR = "sep="
SHOWN = 5  # rows in a message
MISSING = ("na", "n/a", "-", "--", "none", "null", "missing")
TOO_LONG = "field limit"


def csv_rows(path: Path, columns: Sequence[str], order: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table: line number, and the fields of `columns`.

    Fields are separated by commas, semicolons or tabs. Columns are found by their names in the first line, in any case.
    A file whose first line has none of the names has no header; its columns stand in `order`. Blank lines are skipped,
    and so is a first line `sep=;`, as spreadsheets write it.

    Raises:
        InputError: the file is empty or no text, the header lacks a column or has it twice, a row is too short or too
            long, or a quote is not closed in its line.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes): copy or download it again")
    with _table(path) as file:
        delimiter = _delimiter(file, columns, len(order))
        places: list[int] = []
        width = 0
        for line, fields in _lines(file, delimiter, path):
            if not places:
                names = [field.strip() for field in fields]
                header = any(_places_of(name, names) for name in columns)
                names = names if header else list(order)
                places, width = _column_places(names, columns, path), len(names)
                if header:
                    continue
            if len(fields) != width:
                raise InputError(
                    f"{path}, line {line}: {len(fields)} values where {width} are expected; "
                    f"{_width_fix(fields, width, delimiter)}"
                )
            yield line, [fields[place] for place in places]


def read_rows(rows: Iterable[tuple[int, list[str]]], read: Callable[[int, list[str]], None]) -> None:
    """Hand each row to `read`, and tell of all that it refuses at once.

    Args:
        rows: of a table, as `csv_rows` yields them.
        read: is given a row's line and fields.

    Raises:
        InputError: rows are refused; it has the reasons of the first `SHOWN`.
    """
    refused = []
    for line, fields in rows:
        try:
            read(line, fields)
        except InputError as error:
            refused.append(str(error))
    if refused:
        more = len(refused) - SHOWN
        raise InputError("; ".join(refused[:SHOWN]) + (f"; and {more} more rows" if more > 0 else ""))


def _lines(file: TextIO, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, with their lines; each is one line, or else a quote swallows what follows."""
    rows, before, begun = csv.reader(file, delimiter=delimiter, strict=True), 0, False
    while True:
        try:
            fields = next(rows, None)
        except csv.Error as error:
            if rows.line_num == before + 1 and TOO_LONG in str(error):
                raise
            raise _unclosed(path, before + 1) from error
        if rows.line_num > before + 1:
            raise _unclosed(path, before + 1)
        if fields is None:
            return
        before = rows.line_num
        if any(field.strip() for field in fields) and (begun or not fields[0].startswith(SEPARATOR)):
            begun = True
            yield before, fields


def _unclosed(path: Path, line: int) -> InputError:
    return InputError(
        f'{path}, line {line}: a quote is not closed in its line; close it, write "" for a quote within a quoted text, '
        "and no line break within a text"
    )


def _places_of(name: str, names: Sequence[str]) -> list[int]:
    """Where a column's name stands; in another case where it is not there as it should be."""
    exact = [place for place, found in enumerate(names) if found == name]
    return exact or [place for place, found in enumerate(names) if found.lower() == name.lower()]


def _column_places(names: Sequence[str], columns: Sequence[str], path: Path) -> list[int]:
    places = {name: _places_of(name, names) for name in columns}
    if missing := [name for name, found in places.items() if not found]:
        raise InputError(
            f"{path}: no column {', '.join(missing)} in the header, which has {listed(names)}: correct the names, "
            "or get the file again"
        )
    if twice := next((name for name, found in places.items() if len(found) > 1), None):
        raise InputError(f"{path}: {len(places[twice])} columns are named {twice}: rename or delete all but one")
    return [places[name][0] for name in columns]


def _width_fix(fields: Sequence[str], width: int, delimiter: str) -> str:
    """What may be wrong with a row of too few or too many fields."""
    if len(fields) < width:
        return "is the file cut short? Complete the row, or get the file again"
    sign = DELIMITERS[delimiter]
    if not any(field.strip() for field in fields[width:]):
        return f"delete the {sign} at the end of the rows, or name its column in the header"
    decimals = "write decimals with a point, and " if delimiter == "," else ""
    return f"{decimals}put a text that holds a {sign} in double quotes"


def csv_header(path: Path) -> list[str]:
    """Return the names in a table's first line that is not blank.

    Raises:
        InputError: the file is empty or no text.
    """
    with _table(path) as file:
        first = _first_line(file)
        if not first:
            raise InputError(f"{path} is empty: copy or download it again")
        return [name.strip() for name in next(csv.reader([first], delimiter=max(DELIMITERS, key=first.count)))]


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first of very many."""
    return shorten(", ".join(names), LETTERS, placeholder=" …")


def known_columns(header: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return which of the names `known` a header has, in any case."""
    return [name for name in known if _places_of(name, header)]


@contextmanager
def _table(path: Path) -> Iterator[TextIO]:
    with path.open("rb") as file:
        head = file.read(4096)
    encoding = "utf-16" if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"  # spreadsheets write both
    if encoding != "utf-16" and b"\0" in head:
        raise InputError(f"{path} holds zero bytes, as UTF-16 without its mark does: save it again in UTF-8")
    try:
        with path.open(encoding=encoding, newline="") as text:
            yield text
    except (UnicodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8 ({error}): download or save it again as one") from error


def _first_line(file: TextIO) -> str:
    """The first line that is neither blank nor names the separator."""
    return next((line for line in file if line.strip() and not line.startswith(SEPARATOR)), "")


def _delimiter(file: TextIO, columns: Sequence[str], width: int) -> str:
    """What separates the fields: by it the first line has one of the names, or else as many fields as expected."""
    first = _first_line(file)
    file.seek(0)
    fields = {delimiter: next(csv.reader([first], delimiter=delimiter), []) for delimiter in DELIMITERS}
    named = {
        delimiter: [name for name in columns if _places_of(name, [field.strip() for field in names])]
        for delimiter, names in fields.items()
    }
    best = max(DELIMITERS, key=lambda delimiter: (len(named[delimiter]), len(fields[delimiter]) == width))
    return best if named[best] or len(fields[best]) == width else ","


def parse_number(field: str, name: str, path: Path, line: int) -> float:
    """Return the number in a field; NaN where it is empty.

    Raises:
        InputError: the field is no number.
    """
    if not field.strip():
        return math.nan
    try:
        return float(field)
    except ValueError as error:
        fix = "write decimals with a point" if "," in field else "fix or delete the row"
        fix = "leave the field empty" if _is_missing(field) else fix
        raise InputError(f"{path}, line {line}: {name} is {field!r}, not a number; {fix}") from error


def parse_finite(field: str, name: str, path: Path, line: int) -> float:
    """Return the finite number in a field.

    Raises:
        InputError: the field is empty, or no finite number.
    """
    value = math.nan if _is_missing(field) else parse_number(field, name, path, line)
    if not math.isfinite(value):
        raise InputError(f"{path}, line {line}: {name} is {field!r}, not a finite number; fix or delete the row")
    return value


def _is_missing(field: str) -> bool:
    return field.strip().lower() in MISSING
