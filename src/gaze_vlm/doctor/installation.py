"""What is found of an installation and its machine: one list, with a fix for what is not in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from textwrap import wrap
from typing import Literal

State = Literal["ok", "warning", "problem"]
NAME_WIDTH = 20
WIDEST = 120


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Args:
        name: what was looked at.
        state: a problem keeps a command from working; a warning may slow it, or keep some commands from working.
        text: what is there.
        fix: what to do, where it is not ok.
    """

    name: str
    state: State
    text: str
    fix: str = ""


Check = Callable[[], Iterator[Finding]]


def found_by(checks: Sequence[Check]) -> list[Finding]:
    """Run checks; one that fails itself is a problem that names the error, and the others run."""
    found: list[Finding] = []
    for check in checks:
        try:
            found += check()
        except Exception as error:  # whatever an installation that is broken raises
            name = check.__name__.replace("check_", "").replace("_", " ")
            text = f"the check itself failed: {type(error).__name__}: {error}"
            found.append(Finding(name, "problem", text, "install again, in an environment of its own: docs/install.md"))
    return found


def installation_page(found: Sequence[Finding]) -> str:
    """Write one aligned list, each fix below what it is for."""
    width = min(get_terminal_size().columns, WIDEST) - NAME_WIDTH - 11
    lines: list[str] = []
    for one in found:
        text = wrap(one.text, width) + wrap(one.fix, width, initial_indent="→ ", subsequent_indent="  ")
        head = f"{one.state:9} {one.name:{NAME_WIDTH}} "
        lines += [f"{start}{line}" for start, line in zip([head, *[" " * len(head)] * len(text)], text, strict=False)]
    return "\n".join(lines)
