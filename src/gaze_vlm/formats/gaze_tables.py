"""The formats of gaze that a folder may hold, known by a file's name or by its header, and what reads each."""

from pathlib import Path
from typing import Literal

from gaze_vlm.errors import InputError, first_of
from gaze_vlm.formats import gaze_egoexo4d, gaze_generic, gaze_pupil, gaze_pupil_core, gaze_tobii
from gaze_vlm.formats.csv_tables import csv_header, known_columns, listed
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeSamples

GazeFormat = Literal["generic", "pupil", "pupil_core", "egoexo4d", "tobii2", "tobii3"]
COLUMNS: dict[GazeFormat, tuple[str, ...]] = {
    "generic": gaze_generic.COLUMNS,
    "pupil": gaze_pupil.COLUMNS,
    "pupil_core": gaze_pupil_core.COLUMNS,
    "egoexo4d": gaze_egoexo4d.COLUMNS,
}
"""Names in the header of each format that is a table."""
OLD_COLUMNS: dict[GazeFormat, tuple[str, ...]] = {"pupil_core": gaze_pupil_core.OLD_COLUMNS}
"""Names that it had before."""
PACKETS: dict[str, GazeFormat] = {
    **dict.fromkeys(gaze_tobii.GLASSES_2_FILES, "tobii2"),
    **dict.fromkeys(gaze_tobii.GLASSES_3_FILES, "tobii3"),
}
"""Formats that are no tables, by the name of their file."""
EXPORTS = (gaze_pupil.FILE, *gaze_egoexo4d.FILES, gaze_pupil_core.FILE, *PACKETS)
"""Files of a recording or an export that has a folder of its own, the best first."""


def gaze_format(path: Path, given: GazeFormat | None = None) -> GazeFormat:
    """Find the format of a file of gaze, by its name or the names in its header, in any case.

    Args:
        path: of the file.
        given: the format that the user states; None if none. A table whose header is of no format has it.

    Raises:
        InputError: no reader knows it, or it is in another format than `given`.
    """
    packets = PACKETS.get(path.name.lower())
    header = [] if packets else csv_header(path)
    layouts = [*COLUMNS.items(), *OLD_COLUMNS.items()]
    fits = [packets] if packets else [name for name, names in layouts if known_columns(header, names) == [*names]]
    if given in fits or (given in COLUMNS and not fits):
        return given
    if not fits:
        expected = "; ".join(f"{name}: {', '.join(columns)}" for name, columns in COLUMNS.items())
        raise InputError(f"{path}: a header of {listed(header)} is of no known format ({expected})")
    if given is not None:
        raise InputError(f"{path} is in the format {fits[0]}, and gaze is {given!r}: leave the option gaze out")
    return fits[0]


def recording_file(folder: Path) -> Path | None:
    """Find the file of gaze in the folder of a recording or an export, by its name in any case; None without one."""
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    return next((files[name] for name in EXPORTS if name in files), None)


def where_instead(folder: Path) -> str:
    """Say why a folder has no file of gaze: it is a broken link, or the file is one or two folders deeper.

    Nothing is said where neither is so.
    """
    if folder.is_symlink() and not folder.exists():
        return (
            f"{folder} is a link to {folder.readlink()}, which does not exist: link to the whole path of the recording"
        )
    found = {path.parent for below in ("*", "*/*") for name in EXPORTS for path in folder.glob(f"{below}/{name}")}
    deeper = sorted(str(path.relative_to(folder)) for path in found)
    return f"{folder} has gaze in {first_of(deeper)}: give one such folder, or a link to it, instead" if deeper else ""


def read_gaze_table(
    path: Path, format_: GazeFormat, min_confidence: float, size_px: tuple[int, int], video: VideoInfo | None
) -> GazeSamples:
    """Read a file of gaze.

    Args:
        path: of the file.
        format_: that it has.
        min_confidence: samples with less are untracked, where the format has confidences.
        size_px: width and height of the frame that places in pixels are of.
        video: header of the gaze's video, for formats that can be compared with it.

    Raises:
        InputError: see the format's own reader.
    """
    match format_:
        case "generic":
            return gaze_generic.read_generic_gaze(path, min_confidence)
        case "pupil":
            return gaze_pupil.read_pupil_gaze(path, *size_px, video)
        case "pupil_core":
            return gaze_pupil_core.read_pupil_core_gaze(path, min_confidence, video)
        case "egoexo4d":
            return gaze_egoexo4d.read_egoexo4d_gaze(path, video)
        case "tobii2":
            return gaze_tobii.read_tobii2_gaze(path, video)
        case "tobii3":
            return gaze_tobii.read_tobii3_gaze(path, video)
