"""JSON of other people's making: what is damaged, too deep or too large is one line."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.ego4d_metadata import read_metadata
from gaze_vlm.formats.narrations import read_narrations
from gaze_vlm.json_files import DEEPEST, PIECE_BYTES, DepthLimit, TooDeepError, damage_refused, member, read_json
from gaze_vlm.runs.prediction import read_predictions

DEPTH = 200_000
DEEP = b"[" * DEPTH + b"]" * DEPTH
DEEP_OBJECTS = b'{"videos":' * DEPTH


def read(path: Path) -> object:
    return read_json(path, "make it again")


@pytest.mark.parametrize("reader", [read, read_metadata, lambda path: read_narrations(path, ["a"]), read_predictions])
@pytest.mark.parametrize("content", [DEEP, DEEP_OBJECTS, b'{"videos": [' + DEEP, b'{"a": ' + DEEP], ids=range(4))
def test_deep_nesting_is_refused_before_memory_is_gone(
    reader: Callable[[Path], object], content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"file\.json\S* (is damaged|holds no JSON object)") as caught:
            reader(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_brackets_in_strings_are_no_nesting() -> None:
    """Wherever the pieces that a text comes in are cut."""
    strings = ['[[["{', "\\", '\\"[', "]]", "ü\\u005b"] * 40
    short, long = (json.dumps([{"a": strings, "b": [[strings]]}] * count).encode() for count in (1, 30))
    assert len(long) > PIECE_BYTES
    for text, size in ((short, 1), (short, 2), (short, 3), (long, 1000), (long, len(long))):
        limit = DepthLimit()
        for start in range(0, len(text), size):
            limit.check(text[start : start + size])
        assert (limit.depth, limit.in_string) == (0, False)


def test_the_limit() -> None:
    DepthLimit().check(b"[" * DEEPEST)
    with pytest.raises(TooDeepError):
        DepthLimit().check(b'["\\""' + b"[" * DEEPEST)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe{}", b'{"a": \xe9}', b"[1" + b"0" * 5000 + b"]", b"nope"], ids=range(6)
)
def test_damaged_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.json is damaged \(.*\): make it again"):
        read(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"file\.json is missing: make it again"):
        read(path)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("[" + " " * 20 + "]")
    with pytest.raises(ValueError, match=r"file\.json is damaged \(22 bytes, and such a file has no more than 10\)"):
        read_json(tmp_path / "file.json", "make it again", most_bytes=10)


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (lambda values: values["b"], r"^x\.json is damaged \('b'\): make it again$"),
        (lambda values: member(values, "a", str), r"^x\.json is damaged \(a is 1\): make it again$"),
        (lambda values: check_version(values["a"]), r"^version 1 is too old$"),  # says what it is itself
    ],
)
def test_damaged_values_are_refused_with_the_file_and_the_fix(take: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(InputError, match=said), damage_refused("x.json", "make it again"):
        take({"a": 1})


def check_version(version: int) -> None:
    raise InputError(f"version {version} is too old")
