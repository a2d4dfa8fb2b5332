"""Rooms import in the order that ARCHITECTURE.md lists them in: none imports one below it."""

import ast
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "gaze_vlm"
ABOVE_ALL = ("__init__", "__main__", "cli")


def listed_rooms() -> list[str]:
    """The rooms in the first table of ARCHITECTURE.md, from the top."""
    rows = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("\n| folder |")[2].splitlines()[1:]
    return re.findall(r"(?m)^\| `(\w+)/` \|", "\n".join(takewhile(lambda row: row.startswith("|"), rows)))


def imported(file: Path) -> Iterator[str]:
    """First parts of the names that a file imports of the package, those inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name.startswith("gaze_vlm."))


def test_every_room_is_listed():
    assert sorted(listed_rooms()) == sorted(file.parent.name for file in SOURCE.glob("*/__init__.py"))


@pytest.mark.parametrize("room", listed_rooms())
def test_a_room_imports_none_below_it(room):
    allowed = {*listed_rooms()[: listed_rooms().index(room) + 1]}
    allowed |= {file.stem for file in SOURCE.glob("*.py") if file.stem not in ABOVE_ALL}
    for file in (SOURCE / room).rglob("*.py"):
        assert {*imported(file)} <= allowed, f"{file.relative_to(SOURCE)} imports what lies below {room}/"


def test_what_all_rooms_use_imports_no_room():
    for file in SOURCE.glob("*.py"):
        if file.stem not in ABOVE_ALL:
            assert not {*imported(file)} & {*listed_rooms()}, file.name
