"""Print the tables of docs/troubleshooting.md, of the errors that the source raises; the site's page has them.

A row for each error of the user's (`gaze_vlm.errors`) and each problem that `fit` and `doctor` find, by the folder that
raises it. What a message ends in, after its last `: ` or `; `, is the fix.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "gaze_vlm"
RAISED = {"CommandError", "InputError", "MissingFileError", "OptionError", "OutputError", "Problem", "TimeLimitError"}
VALUE = "…"
ROOMS = {
    "formats": "Reading a data set's files",
    "preparation": "Preparing a store",
    "gaze": "Gaze and its geometry",
    "datamodules": "Clips of a store",
    "attention": "Attention and the regularizer",
    "backbones": "Models",
    "shipped": "Checkpoints that ship",
    "metrics": "Scores",
    "kitchen": "The kitchen",
    "pretraining": "Small models",
    "runs": "Run directories",
    "command_line": "Command lines and configurations",
    "training": "Training and testing",
    "inference": "Models in use",
    "doctor": "The doctor",
    "forgetting": "Forgetting",
    "processes": "Processes and jobs",
    "comparison": "Comparisons",
    "export": "Exports",
    "report": "Pages and pictures",
    "look": "Attention of any model",
    "": "All commands",
}


def filled_in(part: ast.expr) -> str:
    """Return what stands for a value: its name in the source, where that says something."""
    value = part.value if isinstance(part, ast.FormattedValue) else part
    name = value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else ""
    return f"‹{name.replace('_', ' ').strip()}›" if re.search(r"[a-z]{2}", name) else VALUE


def texts(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression may be, with ‹name› or `…` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else filled_in(part) for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = [*texts(node.left)] or [VALUE], [*texts(node.right)] or [VALUE]
        yield from (one + other for one in left for other in right)


def errors(file: Path) -> Iterator[str]:
    """Yield the messages of the errors that a file raises, in its order."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and getattr(node.func, "id", None) in RAISED:
            yield from (" ".join(text.split()) for text in texts(node.args[0]) if re.search(r"\w{3}", words(text)))


def parted(message: str) -> tuple[str, str]:
    """Return what is wrong, and the fix that the message ends in; blank where it has none by itself."""
    found = re.match(r"(.+)(?:; |: (?=[a-z`]))(.+)$", message)
    return (found[1], found[2]) if found and words(found[1]).strip(" ,:") else (message, "")


def words(text: str) -> str:
    """Return a text without what stands for values."""
    return re.sub(r"‹[^›]*›|…", "", text)


def in_order(row: tuple[str, str]) -> tuple[str, ...]:
    """Return what rows are sorted by: the words that do not change."""
    return (words(row[0]).lstrip(" ,:").lower(), *row)


def cell(text: str) -> str:
    """Return a text as a cell of a Markdown table."""
    plain = text.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[").replace("*", "\\*")
    return re.sub(r"(?<!`)\b_|_\b(?!`)", r"\\_", plain)


def table() -> str:
    """Return the tables of all folders."""
    lines: list[str] = []
    for room, title in ROOMS.items():
        folder = SOURCE / room
        files = sorted(folder.rglob("*.py") if room else folder.glob("*.py"))
        rows = sorted({parted(message) for file in files for message in errors(file)}, key=in_order)
        if rows:
            lines += [f"## {title}", "", "| what is wrong | what to do |", "|---|---|"]
            lines += [f"| {cell(wrong)} | {cell(fix)} |" for wrong, fix in rows]
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
