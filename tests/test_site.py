"""The documentation site: pages are in the navigation, links lead somewhere, what is made is what makes it."""

import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from markdown_it import MarkdownIt

from training_files import ROOT

MADE_WHERE_THEY_STAND = {"reference.md"}
LINKED = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]


def script(name: str) -> ModuleType:
    """A script of docs/, as a module."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(ROOT / "docs"))


def navigation(entries: list[Any]) -> Iterator[str]:
    """The pages of a navigation, however deep."""
    for entry in entries:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else navigation(value)


def test_every_page_is_in_the_navigation_once() -> None:
    named = [*navigation(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"])]
    pages = {place for place in script("build_site").places().values() if place.endswith(".md")}
    assert sorted(named) == sorted(pages | MADE_WHERE_THEY_STAND), "a page is missing in zensical.toml, or stands twice"


def anchors(page: Path) -> set[str]:
    """The places of a page that a link may name, as GitHub makes them."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    titles = [
        "".join(child.content for child in after.children or [])
        for token, after in pairwise(tokens)
        if token.type == "heading_open"
    ]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", [*LINKED, *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))])
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    inline = [child for token in tokens for child in token.children or []]
    targets = [str(child.attrs.get("href") or child.attrs.get("src") or "") for child in inline]
    for target in filter(None, targets):
        if "://" in target:
            assert re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/\S*)?", target), target
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_table_of_noisy_gaze_is_the_results() -> None:
    made = script("noisy_gaze")
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run `python docs/noisy_gaze.py --write`"


def test_troubleshooting_has_the_errors_of_every_room() -> None:
    made = script("troubleshooting")
    rooms = {file.relative_to(made.SOURCE).parts[0] for file in made.SOURCE.rglob("*.py") if [*made.errors(file)]}
    assert {room for room in rooms if not room.endswith(".py")} <= made.ROOMS.keys(), "give the room a title"
    table = made.table()
    assert "| gaze sigma ‹sigma› must be above 0 | give it in frame widths, the paper's is 0.0184 |" in table
    rows = re.findall(r"(?m)^\| (.*) \| (.*) \|$", table)
    assert len(rows) > 350
    assert sum(bool(fix) for _, fix in rows) > 0.75 * len(rows)


def test_an_error_is_parted_into_fault_and_fix(tmp_path: Path) -> None:
    made = script("troubleshooting")
    source = tmp_path / "source.py"
    source.write_text(
        'raise InputError(f"{path}: {count + 1} rows; give " + ("one" if many else f"{self.wanted_rows}"))\n'
        'raise InputError(f"{path}: {error}") from error\n'
        'raise ValueError("a fault of ours: no row")\n'
        'yield Problem(f"heads {heads}: the attention has {n}")\n'
    )
    assert [made.parted(text) for text in made.errors(source)] == [
        ("‹path›: … rows", "give one"),
        ("‹path›: … rows", "give ‹wanted rows›"),
        ("heads ‹heads›", "the attention has …"),
    ]


def test_links_become_those_of_the_site() -> None:
    site = script("build_site")
    text = (
        "See [it](../results/kitchen.md#activity), [code](../src/gaze_vlm/cli.py), docs/store.md, `docs/store.md`\n"
        "and [there](https://example.org).\n\n    cat docs/store.md\n\n"
        "1. An item:\n\n       make test\n\n   - inner\n\nEnd.\n"
    )
    assert site.for_the_site(text, "docs/arms.md") == (
        "See [it](results/kitchen.md#activity), code, [The store](store.md), `docs/store.md`\n"
        "and [there](https://example.org).\n\n    cat docs/store.md\n\n"
        "1. An item:\n\n        make test\n\n    - inner\n\nEnd.\n"
    )
    readme = site.for_the_site("[a](docs/runs.md#sharing) [b](README.md)\n", "SECURITY.md")
    assert readme == "[a](../runs.md#sharing) [b](../index.md)\n"


def test_a_site_with_faults_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<h1 id="here">b</h1>')
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">ok</a><a href="https://example.org/x">ok</a><a href="b.html#gone"></a>'
        '<a href="c.html"></a><a href="http://example.org"></a><script src="https://example.org/x.js"></script>'
    )
    assert script("check_site").faults(tmp_path) == [
        "a.html: b.html#gone: has no such place",
        "a.html: c.html: is not there",
        "a.html: http://example.org: is no https address",
        "a.html: https://example.org/x.js: is fetched from elsewhere",
    ]


def test_the_site_builds_without_a_warning(capsys: pytest.CaptureFixture) -> None:
    """Where `make docs` has installed what it needs."""
    pytest.importorskip("zensical")
    pytest.importorskip("mkdocstrings")
    found = script("build_site").build()
    assert found == [], capsys.readouterr().out
    assert (ROOT / "site" / "html" / "reference.html").read_text(encoding="utf-8").count("doc-heading") > 30
