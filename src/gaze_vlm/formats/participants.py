"""Who wears the camera: the table of a folder, and names that are likely one person's."""

import re
import warnings
from collections.abc import Collection, Iterable
from pathlib import Path
from unicodedata import normalize

from gaze_vlm.errors import InputError
from gaze_vlm.formats.csv_tables import csv_rows
from gaze_vlm.formats.recording import id_of

COLUMNS = ("video_id", "participant")


def read_participants(path: Path, videos: Collection[str]) -> dict[str, str]:
    """Read the id of each video's participant, by the id of the video; see `id_of`.

    Two spellings of what is likely one name are warned of.

    Args:
        path: a table of `video_id,participant`; none is read where there is no such file.
        videos: ids of the videos. Some may have no row.

    Raises:
        InputError: a row cannot be read, a video is of two participants, or rows name no video and videos have no row.
    """
    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    names: list[str] = []
    for line, (name, person) in csv_rows(path, COLUMNS, COLUMNS) if path.is_file() else ():
        video, participant = (id_of(field, f"{path}, line {line}") for field in (name, person))
        if found.setdefault(video, participant) != participant:
            raise InputError(
                f"{path}, lines {lines[video]} and {line}: {name.strip()} is of two participants; delete one row"
            )
        lines.setdefault(video, line)
        names.append(person)
    unknown, lacking = sorted(set(found) - set(videos)), sorted(set(videos) - set(found))
    if unknown and lacking:
        raise InputError(
            f"{path} has rows of {', '.join(unknown)}, of which there is no video, and none of "
            f"{', '.join(lacking)}: correct the names, which have no suffix"
        )
    warn_of_spellings(names, path)
    return found


def warn_of_spellings(names: Iterable[str], where: Path) -> None:
    """Warn of participants whose names differ in nothing but case, spaces, Unicode form and leading zeros.

    They count as different people, so one person's videos could be in train and in test.
    """
    spellings: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(names):
        spellings.setdefault(_spelled_alike(name), {}).setdefault(normalize("NFC", name.strip()), name.strip())
    for alike in spellings.values():
        if len(alike) > 1:
            warnings.warn(
                f"{where}: participants {' and '.join(map(repr, alike.values()))} differ in case, spaces, Unicode form "
                f"or leading zeros alone, and count as {len(alike)} people: if they are one, who could be in train and "
                "in test, write one name for them",
                stacklevel=2,
            )


def _spelled_alike(name: str) -> str:
    """What is the same of all spellings of a name."""
    name = normalize("NFKC", normalize("NFKC", name).casefold())
    return "".join(re.sub(r"(?<!\d)0+(?=\d)", "", name).split())
