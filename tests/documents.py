"""Blocks of code in the pages, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from training_files import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "results").glob("*.md")),
    *sorted((ROOT / "src" / "gaze_vlm" / "shipped").glob("*/README.md")),
]


@dataclass(frozen=True)
class Block:
    """A block of code that is fenced or indented; `language` is what stands behind the fence."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first(self) -> str:
        return self.text.strip().partition("\n")[0]

    def commands(self) -> list[list[str]]:
        """The words of each line, without comments; a backslash at its end joins a line to the next."""
        lines = re.sub(r"\\(  +#.*)?\n", " ", self.text).splitlines()
        lines = [line.partition("  #")[0].strip() for line in lines]
        return [shlex.split(line, comments=True) for line in lines if line and line[0] != "#"]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in its order."""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            name = page.relative_to(ROOT).as_posix()
            yield Block(name, token.map[0] + 1, token.info.strip(), token.content)


def inline_code(page: Path) -> Iterator[str]:
    """What stands between backticks in the text and the tables of a page, in its order."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        yield from (part.content for part in token.children or () if part.type == "code_inline")
