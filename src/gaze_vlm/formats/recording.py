"""What a reader of a data set returns: recordings, their actions and their gaze."""

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from unicodedata import normalize

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.samples import GazeSamples

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi")
LONGEST_NAME = 200  # letters: with a suffix and what a draft adds it still is the name of a file
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")  # devices of Windows, whatever follows a point
LONGEST_PART = 80  # letters of a name that an id keeps: with a digest and a suffix it still is a file name


@dataclass(frozen=True)
class Action:
    """One action of the wearer, from `start_s` up to, not including, `end_s`.

    `text` is the target text in plain words ("cut red cup"); `verb` and `noun` are labels of the reader's
    vocabularies, or None where the data set has sentences only. `split` is the data set's own split of this
    action, None where it has none. `nouns` are all noun labels that the text names; the preparation reads them.
    """

    start_s: float
    end_s: float
    text: str
    verb: str | None
    noun: str | None
    split: str | None = None
    nouns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """One video with the file of its gaze and its actions, sorted by their start.

    `gaze_width_px` × `gaze_height_px` is the pixel space of the gaze file. Its aspect is the frame's; the
    decoded video may be smaller. `gaze` is None where the file is missing. `redacted_s` are spans (start, end)
    in which the video shows nothing. `split` is the data set's own split of this video, None where it has none.

    `session` is what the video was recorded in, with others if it is a trimmed part: the video itself if None.
    `session_start_s` is where in the session the video begins.
    """

    video_id: str
    video: Path
    gaze: Path | None
    participant: str
    gaze_width_px: int
    gaze_height_px: int
    actions: tuple[Action, ...]
    redacted_s: tuple[tuple[float, float], ...] = ()
    split: str | None = None
    session: str | None = None
    session_start_s: float = 0.0

    def __post_init__(self) -> None:
        check_name(self.video_id, f"video {self.video}")
        check_name(self.participant, f"participant of {self.video}")
        if self.session is not None:
            check_name(self.session, f"session of {self.video}")


class Reader(Protocol):
    """What the preparation asks of a data set; small, for it is pickled."""

    @property
    def dataset(self) -> str:
        """The data set's name, as in `egtea`."""
        ...

    @property
    def verbs(self) -> tuple[str, ...]:
        """Verb labels, empty where the data set has none."""
        ...

    @property
    def nouns(self) -> tuple[str, ...]:
        """Noun labels, empty where the data set has none."""
        ...

    def recordings(self) -> list[Recording]:
        """Return all videos of the data set, sorted by `video_id`."""
        ...

    def left_out(self) -> dict[str, list[str]]:
        """Return the names in no recording, by the reason (`group_by_missing`)."""
        ...

    def read_gaze(self, recording: Recording) -> GazeSamples:
        """Read the gaze of one recording, in seconds from the start of its video.

        Raises:
            InputError: the gaze file is missing or unreadable.
        """
        ...


def group_by_missing(names: Iterable[str], parts: Mapping[str, Container[str]]) -> dict[str, list[str]]:
    """Group names by the parts that they lack.

    A key is "no video" or "no gaze and no labels"; a name that has all parts is in no group.

    Args:
        names: of videos or sessions.
        parts: the names that have a video, gaze, labels.
    """
    lacking: dict[str, list[str]] = {}
    for name in sorted(names):
        if lacks := [f"no {part}" for part, having in parts.items() if name not in having]:
            lacking.setdefault(" and ".join(lacks), []).append(name)
    return lacking


def videos_in(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the videos of a folder whose paths match the pattern, sorted; see `files_in`."""
    return [path for path in files_in(folder, pattern) if path.suffix.lower() in VIDEO_SUFFIXES]


def files_in(folder: Path, pattern: str) -> list[Path]:
    """Return the paths of a folder that match the pattern, sorted.

    Hidden ones are left out: a Mac writes `._a.txt` beside `a.txt` on other systems' disks and into archives.
    """
    return sorted(path for path in folder.glob(pattern) if path.name[0] != ".")


def videos_by_name(videos: Iterable[Path], key: Callable[[Path], str]) -> dict[str, Path]:
    """Return videos by their key.

    Raises:
        InputError: two have one key.
    """
    found: dict[str, Path] = {}
    for video in videos:
        first = found.setdefault(key(video), video)
        if first != video:
            raise InputError(f"{first} and {video} have one name (id {key(video)}): rename or remove one of them")
    return found


def check_tree(root: Path, dataset: str, fixes: Mapping[Path, str]) -> None:
    """Check that every path of `fixes` is there.

    Args:
        root: the folder that was named as the data set's root.
        dataset: its name in plain words.
        fixes: what to do for each path that may be missing.

    Raises:
        InputError: some are missing; one message names them all.
    """
    missing = {path: fix for path, fix in fixes.items() if not path.exists()}
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"{', '.join(map(str, missing))} {are} missing: is {root} the root of {dataset}? "
            f"If so, {', and '.join(dict.fromkeys(missing.values()))}"
        )


def id_of(name: str, where: str) -> str:
    """Return the id of a video or person, whose `name` may be in any script.

    A name that is safe as a file name is its own id. Of any other the plain letters are kept, and eight digits of its
    digest follow, so that other names have other ids: "küche 1" becomes "kuche-1-6ddfae27". Both Unicode forms of a
    letter are one.

    Raises:
        InputError: the name is empty, or no file can be called so.
    """
    name = normalize("NFC", name.strip())
    if not name:
        raise InputError(f"{where}: the name is empty; fill it in")
    if "/" in name or "\0" in name:
        raise InputError(f"{where}: the name {name!r} cannot be a file name; leave / out")
    if is_safe_name(name) and len(name) <= 2 * LONGEST_PART:
        return name
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9]+", "-", plain)[:LONGEST_PART].strip("-")
    digest = sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else digest


def check_name(name: str, where: str) -> str:
    """Return `name` unchanged, if it is safe as a file name in a store.

    Raises:
        InputError: see `is_safe_name`.
    """
    if not is_safe_name(name):
        shown = repr(name) if len(name) <= LONGEST_PART else f"{name[:LONGEST_PART]!r}… of {len(name)} letters"
        raise InputError(
            f"{where}: the name {shown} cannot be a file name here; use letters, digits and . _ + - only, at most "
            f"{LONGEST_NAME}, and no name that Windows reserves"
        )
    return name


def is_safe_name(name: str, longest: int = LONGEST_NAME) -> bool:
    """Return whether a file, in any file system, can have the name.

    It has plain letters, digits and . _ + - alone, `longest` at most, begins with a letter or digit, does not end in a
    point, and is no name that Windows reserves, such as `nul.txt`.
    """
    whole = len(name) <= longest and SAFE_NAME.fullmatch(name)
    return bool(whole) and not name.endswith(".") and not RESERVED.fullmatch(name)
