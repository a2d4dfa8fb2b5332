"""Texts of spans of video: `video_id,start_s,end_s,text[,verb,noun]`."""

from pathlib import Path

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import Action, id_of
from gaze_vlm.formats.text_files import csv_header, csv_rows, finite

COLUMNS = ("video_id", "start_s", "end_s", "text")
OPTIONAL = ("verb", "noun")


def read_spans(path: Path) -> dict[str, list[Action]]:
    """Read the actions of every video, by its id, in the file's order.

    `verb` and `noun` are None where they are empty or have no column.

    Raises:
        ValueError: a malformed row, a span that ends before it starts, or one without text; the message names the line.
    """
    actions: dict[str, list[Action]] = {}
    names = [*COLUMNS, *(name for name in OPTIONAL if name in csv_header(path))]
    for line, fields in csv_rows(path, names, names):
        row = {name: " ".join(field.split()) for name, field in zip(names, fields, strict=True)}
        where = f"{path}, line {line}"
        start_s, end_s = (finite(row[name], name, path, line) for name in ("start_s", "end_s"))
        if not 0 <= start_s < end_s:
            raise InputError(f"{where}: from {start_s:g} to {end_s:g} s; expected seconds from 0 that increase")
        if not row["text"]:
            raise InputError(f"{where}: no text; fill it in or delete the row")
        action = Action(start_s, end_s, row["text"], row.get("verb") or None, row.get("noun") or None)
        actions.setdefault(id_of(row["video_id"], where), []).append(action)
    return actions
