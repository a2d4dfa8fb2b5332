"""Build the documentation site: `make docs`.

The pages of docs/, results/ and the project are gathered in site/pages, with the links of the site; zensical makes
site/html of them; what it made is checked. Any warning and any fault is an error.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from check_site import faults
from troubleshooting import table

ROOT = Path(__file__).parents[1]
SITE = ROOT / "site"
PROJECT = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CHANGELOG.md": "project/changelog.md",
    "src/gaze_vlm/shipped/kitchen-llava/README.md": "project/kitchen-llava.md",
}
FILES = {".csv", ".ipynb", ".jpg", ".md", ".png", ".svg", ".tex"}
CODE = re.compile(r"(`+[^`].*?`+|\[[^\]]*\]\([^)]*\))")
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")
IMAGE = re.compile(r"!\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
PAGE = re.compile(r"(?<![\w/.-])docs/(?P<name>\w+)\.md\b")
ITEM = re.compile(r"(?P<indent> *)(?P<marker>[-*]|\d+\.) +")


def places() -> dict[str, str]:
    """Return where each file of the repository stands in the site, both as relative paths."""
    found = {f"docs/{file.name}": file.name for file in sorted((ROOT / "docs").iterdir()) if file.suffix in FILES}
    found |= {f"results/{file.name}": f"results/{file.name}" for file in sorted((ROOT / "results").iterdir())}
    return {file: place for file, place in (PROJECT | found).items() if Path(file).suffix in FILES}


def titles() -> dict[str, str]:
    """Return the title of each page of docs/, by its path."""
    pages = (ROOT / "docs").glob("*.md")
    return {f"docs/{page.name}": page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for page in pages}


def prose(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the lines of a page, and whether each is prose: not code that is fenced or indented."""
    fenced, above = False, ""
    code = False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        indented = line.startswith("    ") and not ITEM.match(line)
        code = fenced or fence or (indented and (code or not above.strip()))
        yield line, not code
        fenced ^= fence
        above = line


def for_the_site(text: str, file: str) -> str:
    """Return a page of the repository as a page of the site.

    Links lead to where files stand in the site, and those to files that it lacks become their text. A page that is
    named becomes a link to it. What stands in a list is indented by four, as Python-Markdown wants it.
    """
    stand, called = places() | {"README.md": "index.md"}, titles()
    folder = Path(stand[file]).parent

    def relative(target: str) -> str | None:
        path = os.path.normpath(Path(file).parent / target)
        return os.path.relpath(stand[path], folder) if path in stand else None

    def link(found: re.Match[str]) -> str:
        target = found["target"]
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        place = relative(target)
        return found["text"] if place is None else f"[{found['text']}]({place}{found['anchor'] or ''})"

    def image(found: re.Match[str]) -> str:
        return f"![{found['text']}]({relative(found['target'])})"

    def named(found: re.Match[str]) -> str:
        path = found[0]
        return f"[{called[path]}]({os.path.relpath(stand[path], folder)})" if path in called else path

    lines = []
    for line, is_prose in prose(text):
        if is_prose:
            linked = LINK.sub(link, IMAGE.sub(image, line))
            parts = CODE.split(linked)  # every second is code or a link
            parts[::2] = [PAGE.sub(named, part) for part in parts[::2]]
            line = "".join(parts)
        lines.append(line)
    return "\n".join(indented_by_four(lines)) + "\n"


def indented_by_four(lines: list[str]) -> Iterator[str]:
    """Yield lines whose list items hold what is indented below them, as both GitHub and Python-Markdown read it."""
    open_items: list[tuple[int, int]] = []  # (indent of the marker, indent of its text), from the outermost in
    fenced = False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if not fenced and line.strip():
            while open_items and indent < open_items[-1][1]:
                open_items.pop()
        depth = len(open_items)
        wanted = indent - (open_items[-1][1] if open_items else 0) + 4 * depth
        yield " " * wanted + line.strip() if open_items and line.strip() else line
        item = ITEM.match(line)
        if not fenced and item and wanted - 4 * depth < 4:
            open_items.append((indent, len(item[0])))
        fenced ^= line.lstrip().startswith("```")


def reference() -> str:
    """Return the page of the public names, by the room that each stands in."""
    source = ast.parse((ROOT / "src" / "gaze_vlm" / "__init__.py").read_text(encoding="utf-8"))
    modules: dict[str, str] = next(
        ast.literal_eval(line.value)
        for line in source.body
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and line.targets[0].id == "_MODULES"
    )
    by_room = sorted(modules, key=lambda name: modules[name].partition(".")[0])
    lines = ["# Python", "", "What `import gaze_vlm` gives by name. Each name loads on first use.", ""]
    for room, names in groupby(by_room, key=lambda name: modules[name].partition(".")[0]):
        lines += [f"## {room}", ""]
        for name in sorted(names):
            lines += [f"::: gaze_vlm.{modules[name]}.{name}", ""]
    return "\n".join(lines)


def gather(pages: Path) -> None:
    """Write the pages and files of the site."""
    shutil.rmtree(pages, ignore_errors=True)
    for source, place in places().items():
        path = pages / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            path.write_text(for_the_site((ROOT / source).read_text(encoding="utf-8"), source), encoding="utf-8")
        else:
            shutil.copy(ROOT / source, path)
    (pages / "reference.md").write_text(reference(), encoding="utf-8")
    with (pages / "troubleshooting.md").open("a", encoding="utf-8") as file:
        file.write("\n" + table())


def build() -> list[str]:
    """Build the site; return its faults."""
    gather(SITE / "pages")
    shutil.rmtree(SITE / "html", ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    plain = os.environ | {"NO_COLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    said = re.findall(
        r"(?im)^.*(?:\bwarning\b|\berror\b|^griffe:).*$", done.stdout
    )  # of mkdocstrings, which end nothing
    failed = said or ([f"zensical ended with {done.returncode}"] if done.returncode else [])
    return failed or faults(SITE / "html")


if __name__ == "__main__":
    found = build()
    print("\n".join(found) if found else f"open {SITE.relative_to(ROOT) / 'html' / 'index.html'}")
    sys.exit(bool(found))
