"""HTML pages of one file: templates, with style, script and pictures inlined."""

import hashlib
from base64 import b64encode
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from gaze_vlm.foreign_text import visible
from gaze_vlm.metrics.scores import DASH

KINDS = (".html", ".htm")
SCRIPT = "sortable.js"


def render_page(template: str, script: str | None = None, room: str = "report", **values: Any) -> str:
    """Return a page as HTML; every value is escaped that is not `Markup`.

    The page may load nothing, and run nothing but its script.

    Args:
        template: file name of the template.
        script: the page's script; None is the one that sorts tables.
        room: folder of the package whose `templates` has it; what it extends or includes may be the report's.
        values: what the template names.
    """
    loaders = [PackageLoader("gaze_vlm", f"{folder}/templates") for folder in dict.fromkeys((room, "report"))]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_visible,
    )
    environment.filters.update(percent=percent, number=number)
    script = third_party(SCRIPT) if script is None else script
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template(template).render(script=script, script_digest=digest, **values)


def _visible(value: object) -> object:
    """A text with no character that a reader cannot see; what is HTML already stays."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def third_party(name: str) -> str:
    """Return a file of others' code that ships with the package."""
    return files("gaze_vlm.report").joinpath("third_party", name).read_text(encoding="utf-8")


def data_url(content: bytes, kind: str) -> str:
    """Return a file's content as a URL, so that a page holds it."""
    return f"data:{kind};base64,{b64encode(content).decode('ascii')}"


def percent(share: float | None) -> str:
    """Write 0.123 as 12.3 %, never -0.0 %; a dash for a share of nothing."""
    return DASH if share is None else f"{100 * share:z.1f} %"


def number(value: float | None, digits: int = 2) -> str:
    """Write a number with a fixed number of decimals; a dash for none."""
    return DASH if value is None else f"{value:z.{digits}f}"
