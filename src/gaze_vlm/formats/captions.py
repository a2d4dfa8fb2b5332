"""Texts of seconds or spans of video, written by a vision-language model or by people."""

import re
import warnings
from collections.abc import Collection, Iterable
from pathlib import Path

from gaze_vlm.errors import InputError, first_of
from gaze_vlm.formats.csv_tables import (
    MISSING,
    csv_header,
    csv_rows,
    known_columns,
    parse_finite,
    parse_number,
    read_rows,
)
from gaze_vlm.formats.recording import Action, check_name, id_of
from gaze_vlm.formats.text_files import read_lines

SECOND_COLUMNS = ("video_id", "second", "text")
SPAN_COLUMNS = ("video_id", "start_s", "end_s", "text")
SPAN_LABELS = ("verb", "noun")
DESCRIPTIONS = "image_descriptions.txt"
NO_TEXT = (*MISSING, "nan", "#n/a", "<na>")
FAILED = re.compile(r"Skipping chunk \d+ due to error", re.IGNORECASE)


def read_captions(path: Path, videos: Collection[str], chunk_s: int = 1) -> dict[str, tuple[Action, ...]]:
    """Read the captions of `videos`, each an action of one second.

    A CSV has the columns `video_id,second,text`; second 0 begins with the first frame. A folder has a file
    `<video_id>/image_descriptions.txt` for each video; see `described_seconds`.

    Raises:
        InputError: `path` is missing, has labels, a row cannot be read, or a second has two captions.
    """
    if path.is_dir():
        files = {video: path / check_name(video, f"{path}") / DESCRIPTIONS for video in videos}
        captions = {video: described_seconds(file, chunk_s) for video, file in files.items() if file.is_file()}
        if not captions:
            raise InputError(f"{path} holds no <video_id>/{DESCRIPTIONS} of any video here: unpack the captions there")
    elif path.is_file():
        captions = _of_table(path)
    else:
        raise InputError(
            f"{path} is missing: set captions to a CSV of {','.join(SECOND_COLUMNS)}, or a folder of captions"
        )
    return {
        video: tuple(Action(second, second + 1, text, None, None) for second, text in sorted(captions[video].items()))
        for video in videos
        if video in captions
    }


def read_spans(path: Path) -> dict[str, list[Action]]:
    """Read the actions of every video, by its id, in the file's order.

    Seconds count from the video's first frame. `verb` and `noun` are None where they are empty or have no column.

    Raises:
        InputError: rows are malformed, or their spans end before they start or have no text.
    """
    actions: dict[str, list[Action]] = {}
    names = [*SPAN_COLUMNS, *known_columns(csv_header(path), SPAN_LABELS)]

    def read(line: int, fields: list[str]) -> None:
        row = {name: " ".join(field.split()) for name, field in zip(names, fields, strict=True)}
        where = f"{path}, line {line}"
        start_s, end_s = (parse_finite(row[name], name, path, line) for name in ("start_s", "end_s"))
        if not 0 <= start_s < end_s:
            raise InputError(f"{where}: from {start_s:g} to {end_s:g} s; expected seconds from 0 that increase")
        if not row["text"]:
            raise InputError(f"{where}: no text; fill it in or delete the row")
        action = Action(start_s, end_s, row["text"], row.get("verb") or None, row.get("noun") or None)
        actions.setdefault(id_of(row["video_id"], where), []).append(action)

    read_rows(csv_rows(path, names, names), read)
    return actions


def warn_of_no_texts(actions: Iterable[Action], path: Path) -> None:
    """Warn of texts such as "nan", which programs write where there is none.

    Args:
        actions: of a table.
        path: the table.
    """
    if found := [action.text for action in actions if action.text.casefold() in NO_TEXT]:
        shown = first_of([repr(text) for text in dict.fromkeys(found)])
        warnings.warn(
            f"{path}: the text of {len(found)} rows is {shown}, as programs write where there is none, and is to be "
            "answered as it stands: delete these rows if they have no text",
            stacklevel=2,
        )


def described_seconds(path: Path, chunk_s: int = 1) -> dict[int, str]:
    """Read an `image_descriptions.txt`: one caption a line, by its second from 0.

    A line that says that a chunk failed stands for `chunk_s` seconds without a caption. An empty line is a second
    without a caption.

    Raises:
        InputError: frames lie beside the file (`1.jpg`, `2.jpg`, …), and they are more or fewer than the lines.
    """
    captions: dict[int, str] = {}
    second = 0
    for line in read_lines(path):
        failed = FAILED.search(line) is not None
        if not failed and (text := " ".join(line.split())):
            captions[second] = text
        second += chunk_s if failed else 1
    frames = sum(image.stem.isdecimal() for image in path.parent.glob("*.jpg"))
    if frames not in (0, second):
        raise InputError(
            f"{path} stands for {second} seconds, and {frames} frames lie beside it: set caption_chunk_s to the "
            f"seconds of a chunk that failed (now {chunk_s}), or caption the video again"
        )
    return captions


def _of_table(path: Path) -> dict[str, dict[int, str]]:
    captions: dict[str, dict[int, str]] = {}
    if labels := known_columns(csv_header(path), SPAN_LABELS):
        raise InputError(
            f"{path}: a text a second has no {' and no '.join(labels)}: delete the columns, or write spans "
            f"({','.join(SPAN_COLUMNS)}), which have labels"
        )

    def read(line: int, fields: list[str]) -> None:
        video, field, text = fields
        where = f"{path}, line {line}"
        second = parse_number(field, "second", path, line)
        if not (second >= 0 and second.is_integer()):
            raise InputError(f"{where}: second is {field!r}; expected a whole number from 0")
        listed = captions.setdefault(id_of(video, where), {})
        if int(second) in listed:
            raise InputError(f"{where}: second {field} of {video} has a caption already; keep one of them")
        if words := " ".join(text.split()):
            listed[int(second)] = words

    read_rows(csv_rows(path, SECOND_COLUMNS, SECOND_COLUMNS), read)
    return captions
