"""Check a built site: its links lead somewhere, and it fetches nothing from elsewhere."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {"audio", "iframe", "img", "link", "script", "source", "video"}
GENERATED = {"404.html"}


class Page(HTMLParser):
    """The ids of a page, and what it links to: (tag, address)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        self.links += [(tag, value) for name in ("href", "src") if (value := given.get(name)) is not None]


def faults(site: Path) -> list[str]:
    """Return what is wrong with the links of a site's pages, a line each.

    Links within the site must lead to a file and, where they name one, to an id in it. Those to elsewhere must be https
    and well formed; nobody asks whether they answer. Nothing that a page shows or runs may come from elsewhere.
    """
    pages = {file.resolve(): Page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    pages = {file: page for file, page in pages.items() if file.name not in GENERATED}
    found = []
    for file, page in pages.items():
        for tag, address in page.links:
            if problem := _problem(file, tag, address, pages):
                found.append(f"{file.relative_to(site.resolve())}: {address}: {problem}")
    return found


def _problem(file: Path, tag: str, address: str, pages: dict[Path, Page]) -> str | None:
    parts = urlsplit(address)
    if parts.scheme in ("data", "mailto"):
        return None
    if parts.scheme or parts.netloc:
        if tag in FETCHED:
            return "is fetched from elsewhere"
        formed = parts.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc)
        return None if formed else "is no https address"
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "is not there"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].ids:
        return "has no such place"
    return None
