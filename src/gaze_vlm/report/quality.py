"""A page that shows how good the gaze of a store is: the figures of quality.json, and frames with their gaze."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from gaze_vlm.errors import InputError
from gaze_vlm.json_files import read_json
from gaze_vlm.output import check_output_file, write_atomically
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.preparation.store import AGAIN, Store
from gaze_vlm.ranges import at_least, is_seed
from gaze_vlm.report.html import KINDS, data_url, render_page

VIDEOS, FRAMES = 4, 5
LOW_SHARE = 0.5


def report_quality(
    store: Path,
    output: Path | None = None,
    root: Path | None = None,
    name: str | None = None,
    videos: int = VIDEOS,
    frames: int = FRAMES,
    seed: int = 0,
) -> Path:
    """Write a page of figures, a row a video, with a contact sheet of frames.

    The sheet shows gaze points and their mixture. The page is one file that needs no network; the sheet is also written
    beside it, as JPEG.

    Args:
        store: folder that `gaze-vlm prepare` wrote.
        output: the page to write, HTML by its name; quality.html in the store by default.
        root: folder of the raw videos, if they have moved since the preparation.
        name: of the data set, for the page's title; by default that of its folder.
        videos: how many videos the sheet shows.
        frames: how many frames of each.
        seed: draws the videos.

    Raises:
        InputError: not a finished store, or a video cannot be decoded.
    """
    at_least(1, videos=videos, frames=frames)
    is_seed(seed)
    if output is not None:
        check_output_file(output, KINDS)
    from gaze_vlm.report.quality_sheet import draw_sheet  # imports torch and matplotlib

    opened = Store(store)
    report = read_json(StoreFiles(opened.path).quality, AGAIN)
    output = output or opened.path / "quality.html"
    check_output_file(output)
    sheet = BytesIO()
    draw_sheet(opened, root, videos, frames, seed).savefig(sheet, format="jpeg", dpi=100)
    page = readable_page(name or own_name(opened), opened.manifest.dataset, report, sheet.getvalue(), opened.path)
    write_atomically(output, page)
    write_atomically(output.with_suffix(".jpg"), sheet.getvalue())
    print(f"wrote {output} and {output.with_suffix('.jpg').name}")
    return output


def own_name(store: Store) -> str:
    """Return what a data set is called: its folder, since readers name formats."""
    return Path(store.manifest.root).resolve().name or store.manifest.dataset


def readable_page(name: str, reader: str, report: Any, sheet: bytes, store: Path) -> str:
    """Return the page as HTML, see `quality_page`.

    Raises:
        InputError: quality.json lacks what the page shows, or has values of other types.
    """
    try:
        return quality_page(name, reader, report, sheet)
    except (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{StoreFiles(store).quality} is damaged ({error}): {AGAIN}") from error


def quality_page(name: str, reader: str, report: Mapping[str, Any], sheet: bytes) -> str:
    """Return the page as HTML, from quality.json and the sheet's JPEG."""
    return render_page(
        "quality.html",
        name=name,
        reader=reader,
        report=report,
        few_valid=LOW_SHARE,
        sheet=data_url(sheet, "image/jpeg"),
    )
