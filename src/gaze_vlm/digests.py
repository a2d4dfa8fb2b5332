"""SHA-256 of files, and lists of them in the form of `sha256sum`."""

import hashlib
import re
from pathlib import Path

from gaze_vlm.errors import InputError

SUMS = "SHA256SUMS"
"""Name of the list of a folder's files."""
LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sum_beside(path: Path) -> Path:
    """Return the file beside another that has its SHA-256."""
    return path.with_name(f"{path.name}.sha256")


def listed(digests: dict[str, str]) -> str:
    """Return the list of some files' digests, by their names."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def check_sums(folder: Path, suffixes: tuple[str, ...], share: slice = slice(None)) -> None:
    """Check that a folder holds the files that were written, byte by byte.

    Args:
        folder: it has a list of them, `SUMS`.
        suffixes: of files that must be in the list.
        share: of the files, in the order of their names, that are read for it.

    Raises:
        InputError: naming the file.
    """
    again = "copy the folder again, or train the run again"
    if not (folder / SUMS).is_file():
        raise InputError(f"{folder} has no {SUMS}: it is no checkpoint, or was copied in part; {again}")
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    sums = {match[2]: match[1] for match in found if match is not None}
    if not sums or len(sums) != len(lines):
        raise InputError(f"{folder / SUMS} is damaged: {again}")
    there = {file.name for file in folder.iterdir() if file.suffix in suffixes}
    for name in sorted(sums.keys() ^ there):
        raise InputError(f"{folder / name} {f'is not in {SUMS}' if name in there else 'is missing'}: {again}")
    for name in sorted(sums)[share]:
        if file_digest(folder / name) != sums[name]:
            raise InputError(f"{folder / name} is not the file that was written: its SHA-256 is another; {again}")
