"""What any page of this package must be: whole in itself, and readable by a screen reader."""

import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements of a page, each with its attributes, and the text within each element that is open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes <{self.open[-1:]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open:
            self.texts.append((self.open[-1], data.strip()))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of some kinds, in order."""
        return [attributes for tag, attributes in self.elements if tag in tags]


def check_whole(text: str) -> None:
    """Nothing is loaded, and nothing runs but the script that the policy names."""
    page = Page(text)
    policy = next(one for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")["content"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert len(page.all("script")) == 1
    assert not page.all("link", "iframe", "object", "embed", "form", "base")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name in ("src", "srcset", "poster", "href", "xlink:href", "action", "data"):
                assert re.match(r"data:image/(jpeg|png);base64,|#|(?!\w+:|//)", (value or "").lstrip()), value
            assert not re.search(r"url\((?!#)", value or ""), value
    style = " ".join(data for tag, data in page.texts if tag == "style")
    assert "@import" not in style
    assert "url(" not in style


def check_readable(text: str) -> None:
    """Language, title, landmarks, headings in order, captions, scopes, texts for pictures, ids that lead somewhere."""
    page = Page(text)
    assert page.all("html")[0]["lang"] == "en"
    assert any(tag == "title" and data for tag, data in page.texts)
    assert len(page.all("main")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)), [one for one in ids if ids.count(one) > 1]
    for _, attributes in page.elements:
        named = [attributes.get("aria-labelledby"), attributes.get("aria-describedby")]
        links = [one[1:] for one in (attributes.get("href"), attributes.get("xlink:href")) if one and one[:1] == "#"]
        for one in [name for names in named if names for name in names.split()] + links:
            assert one in ids, one
    assert page.all("a")[0]["href"] == "#main"
    assert all((image.get("alt") or "").strip() for image in page.all("img"))
    assert all(drawing.get("role") == "img" for drawing in page.all("svg"))
    assert all(header.get("scope") in ("col", "row") for header in page.all("th"))
    for region in (attributes for _, attributes in page.elements if attributes.get("role") == "region"):
        assert region.get("aria-label")
        assert region.get("tabindex") == "0"


def data_of(page: str) -> dict[str, Any]:
    """What the script of `gaze-vlm look`'s page reads."""
    templates = dict(re.findall(r'<template id="([\w-]+)">(.*?)</template>', page, re.DOTALL))
    data = json.loads(templates.pop("data").replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">"))
    return {**data, "arrays": {name: b64decode(text) for name, text in templates.items()}}
