"""Captions of single seconds of video, written by a vision-language model or by people."""

import re
from collections.abc import Collection
from pathlib import Path

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import Action, check_name, id_of
from gaze_vlm.formats.text_files import csv_rows, number, read_lines

COLUMNS = ("video_id", "second", "text")
DESCRIPTIONS = "image_descriptions.txt"
FAILED = re.compile(r"Skipping chunk \d+ due to error", re.IGNORECASE)


def read_captions(path: Path, videos: Collection[str], chunk_s: int = 1) -> dict[str, tuple[Action, ...]]:
    """Captions of `videos`, each an action of one second, from a CSV file or a folder.

    A CSV has the columns `video_id,second,text`; second 0 is the first. A folder has a file
    `<video_id>/image_descriptions.txt` for each video; see `described_seconds`.

    Raises:
        ValueError: `path` is missing, a row cannot be read, or a second has two captions.
    """
    if path.is_dir():
        files = {video: path / check_name(video, f"{path}") / DESCRIPTIONS for video in videos}
        captions = {video: described_seconds(file, chunk_s) for video, file in files.items() if file.is_file()}
        if not captions:
            raise InputError(f"{path} holds no <video_id>/{DESCRIPTIONS} of any video here: unpack the captions there")
    elif path.is_file():
        captions = _of_table(path)
    else:
        raise InputError(f"{path} is missing: set captions to a CSV of {','.join(COLUMNS)}, or a folder of captions")
    return {
        video: tuple(Action(second, second + 1, text, None, None) for second, text in sorted(captions[video].items()))
        for video in videos
        if video in captions
    }


def described_seconds(path: Path, chunk_s: int = 1) -> dict[int, str]:
    """Captions of an `image_descriptions.txt`, by their second: one line a second, from 0.

    A line that says that a chunk failed stands for `chunk_s` seconds without a caption. An empty line is a second
    without a caption.

    Raises:
        ValueError: frames lie beside the file (`1.jpg`, `2.jpg`, …), and they are more or fewer than the lines.
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
    for line, (video, field, text) in csv_rows(path, COLUMNS, COLUMNS):
        where = f"{path}, line {line}"
        second = number(field, "second", path, line)
        if not (second >= 0 and second.is_integer()):
            raise InputError(f"{where}: second is {field!r}; expected a whole number from 0")
        listed = captions.setdefault(id_of(video, where), {})
        if int(second) in listed:
            raise InputError(f"{where}: second {field} of {video} has a caption already; keep one of them")
        if words := " ".join(text.split()):
            listed[int(second)] = words
    return captions
