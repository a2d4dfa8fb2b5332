"""What a command writes: checked before its work begins, and one line where the file system refuses it."""

import csv
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

from safetensors import SafetensorError

from gaze_vlm.errors import InputError, OutputError, UserError

NAME_BYTES = 255  # of the longest name that file systems take
SHORT_BYTES = NAME_BYTES - len("..") - 32 - len(".tmp")  # of what a draft's name holds of it, beside 32 digits
DRAFT = re.compile(r"\.(.+)\.[0-9a-f]{32}\.(tmp|unfinished)", re.DOTALL)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around what writes `path`, and does nothing else.

    Raises:
        OutputError: the file system refused; what was finished before is untouched.
    """
    try:
        yield
    except UserError:
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{path} cannot be written ({reason}): make room, or fix the permissions, and run the same command again"
        ) from error


def draft_name(path: Path) -> Path:
    """Return a name beside a path that no other process, of any machine, has.

    It can be written wherever the path can, however long its name.
    """
    return path.with_name(f".{_short(path.name)}.{uuid4().hex}.tmp")


def _short(name: str) -> str:
    """Cut a name that leaves a draft's no room, and end it in its digest."""
    if len(os.fsencode(name)) <= SHORT_BYTES:
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    while len(os.fsencode(name)) > SHORT_BYTES - len(digest):
        name = name[:-1]
    return name + digest


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Yield a draft that replaces `path` if the block ends well.

    Otherwise it is deleted.

    Raises:
        OutputError: the file system refused.
    """
    draft = draft_name(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield draft
        with writing(path):
            with draft.open("rb") as stream:
                os.fsync(stream.fileno())
            draft.replace(path)
            sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk, where the file system can do that."""
    with suppress(OSError):  # some network file systems refuse it
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder that becomes `folder` if the block ends well.

    `folder` is not there before, or empty. After a block that ends otherwise the new one is deleted, and so is at the
    next try what a killed process left.

    Raises:
        OutputError: the file system refused.
    """
    folder = folder.resolve()
    for left in folder.parent.glob(".*.unfinished"):
        if _drafted(left) == folder.name:
            shutil.rmtree(left, ignore_errors=True)
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}.unfinished")
    with writing(folder):
        draft.mkdir(parents=True)
    try:
        yield draft
        with writing(folder):
            draft.replace(folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def used_alone(folder: Path, how: str, patience_s: float = 0.0) -> Iterator[None]:
    """Keep other processes that call this from using a folder.

    The system releases it when the process ends, however it ends, and those that it forked. A file system without locks
    keeps nobody.

    Args:
        folder: it must be there.
        how: what it is used for, as a participle.
        patience_s: how long to wait for another process.

    Raises:
        InputError: another process uses it.
    """
    opened, since = os.open(folder, os.O_RDONLY), time.monotonic()
    try:
        while _is_locked(opened):
            if time.monotonic() - since >= patience_s:
                raise InputError(f"{folder} is being {how} by another process: wait for it, or stop it")
            time.sleep(0.1)
        yield
    finally:
        os.close(opened)


def _is_locked(folder: int) -> bool:
    """Lock an open folder; whether another process has locked it."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file, all or nothing.

    Those who write the same path at the same time do not mix.

    Raises:
        OutputError: the file system refused.
    """
    with draft_of(path) as draft, writing(path):
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]], line_end: str = "\n") -> None:
    """Write a header and rows as CSV, all or nothing.

    Raises:
        OutputError: the file system refused.
    """
    with draft_of(path) as draft, writing(path), draft.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator=line_end)
        writer.writerow(columns)
        writer.writerows(rows)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file, and wait until it is on disk."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def set_aside(path: Path) -> Iterator[None]:
    """Around what puts something in the place of a folder, which no rename can replace.

    What was there is deleted afterwards; where the block fails, or the process is killed in it, `kept` finds it.
    """
    aside = _aside(path)
    if path.exists():
        remove(aside)
        path.replace(aside)
    yield
    remove(aside)


def kept(path: Path) -> Path:
    """Return a path, or where `set_aside` left what was there."""
    return _aside(path) if _aside(path).exists() and not path.exists() else path


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.before")


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that it holds; neither need be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def drafts_of(path: Path) -> list[Path]:
    """List what killed processes left half written of a file."""
    return [draft for draft in path.parent.glob(".*.tmp") if _drafted(draft) == _short(path.name)]


def remove_drafts(folder: Path) -> None:
    """Delete what killed processes left half written below a folder; no other program's hidden files."""
    for draft in [*folder.rglob(".*.tmp")]:
        if _drafted(draft) is not None:
            remove(draft)


def _drafted(draft: Path) -> str | None:
    """The name that a draft is of, that of a file as `_short` cuts it; None if no name of this module."""
    found = DRAFT.fullmatch(draft.name)
    return found and found[1]


def check_output_folder(folder: Path) -> None:
    """Check, before any work, that files can be made in a folder.

    The folder need not be there yet.

    Raises:
        InputError: it, or what would hold it, is a file.
        OutputError: the file system refuses; it is read-only, say.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{folder} cannot be a folder, for {there} is a file: choose another place")
    with writing(folder), TemporaryFile(dir=there):
        pass


def check_new_folder(folder: Path) -> None:
    """Check, before any work, that a folder can be made, or is there and empty.

    Raises:
        InputError: it holds something, or it or what would hold it is a file.
        OutputError: the file system refuses.
    """
    check_output_folder(folder)
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty: name a new folder, or delete it")


def check_output_file(file: Path, kinds: Sequence[str] = ()) -> None:
    """Check, before any work, that a file can be written.

    Args:
        file: the file.
        kinds: suffixes, such as `.png`, of which its name must have one, in either case; none allows any name.

    Raises:
        InputError: it is a folder, or what would hold it is a file, or its name says another kind.
        OutputError: the file system refuses.
    """
    if file.is_dir():
        raise InputError(f"{file} is a folder: name a file in it")
    if kinds and file.suffix.lower() not in kinds:
        found = file.suffix or "a name without suffix"
        raise InputError(f"{file}: {found} is no kind to write: end the name in {' or '.join(kinds)}")
    check_output_folder(file.parent)
