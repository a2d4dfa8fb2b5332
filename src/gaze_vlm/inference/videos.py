"""Videos to describe: those of a folder, by name, and the names of what is written about each."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.formats.video_header import VideoInfo, video_info, warn_of_header
from gaze_vlm.inference.windows import WindowTimes
from gaze_vlm.output import NAME_BYTES
from gaze_vlm.preparation.files import fingerprint
from gaze_vlm.suggestions import nearest_path

SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
)


def find_videos(folder: Path) -> dict[str, Path]:
    """Find the videos of a folder and of the folders in it, but for hidden ones; or take one file.

    Links to folders are followed.

    Args:
        folder: with files of the formats in `SUFFIXES`, in either case.

    Returns:
        Their paths by their names within the folder, sorted.

    Raises:
        MissingFileError: there is no such folder.
        InputError: no video is in it.
    """
    if folder.is_file():
        return {folder.name: folder}
    if not folder.is_dir():
        raise MissingFileError(f"--videos: {folder} does not exist{nearest_path(folder)}")
    names = {path.relative_to(folder).as_posix(): path for path in _files(folder) if _is_video(path)}
    if not names:
        raise InputError(f"--videos: {folder} has no video ({', '.join(SUFFIXES)}): name another folder, or one file")
    return dict(sorted(names.items()))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, of each folder once: those behind links last, so that a circle of links ends."""
    seen, left = set(), deque([folder])
    while left:
        for here, folders, files in os.walk(left.popleft()):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            path, real = Path(here), Path(here).resolve()
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            yield from (path / name for name in files)
            left += [path / name for name in folders if (path / name).is_symlink()]


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


@dataclass(frozen=True)
class PlannedVideo:
    """A video and its windows.

    Args:
        name: within the folder.
        path: the file.
        info: of its header.
        ends_s: the windows' ends in seconds from the start of the video's stream.
    """

    name: str
    path: Path
    info: VideoInfo
    ends_s: Sequence[float]

    def as_played(self, t_s: float) -> float:
        """Return a time as players count it, from the start of the file."""
        return round(t_s + self.info.offset_s, 6)


def plan(
    videos: Mapping[str, Path], times: WindowTimes, timeout_s: float | None = None
) -> tuple[list[PlannedVideo], dict[str, str]]:
    """Plan the windows of videos by their headers.

    Returns:
        Those that have windows, and of the others why they have none, by their names.
    """
    planned, left_out = [], {}
    for name, path in videos.items():
        try:
            info = video_info(path, timeout_s)
        except (InputError, OSError) as error:
            left_out[name] = str(error)
            continue
        if ends_s := times.ends_s(info.duration_s):
            warn_of_header(path, info)
            planned.append(PlannedVideo(name, path, info, ends_s))
        else:
            left_out[name] = (
                f"{path}: {info.duration_s:.2f} s long, shorter than a window of {times.observation_s:g} s: give a "
                "smaller --observation_s"
            )
    return planned, left_out


def identity(path: Path) -> str:
    """Return what shows when another video is in a file's place: its size and a digest of its ends."""
    size, ends = fingerprint(path)
    return f"{size} {ends}"


def beside(output: Path, videos: Sequence[str], suffix: str) -> dict[str, Path]:
    """Name a file for each video, beside an output and after it: `dir/a.captions.srt` for dir/a.mp4.

    Most players show such subtitles with a video that lies there too. Where another video differs in its suffix alone,
    or is named as this one without it, the name keeps it.

    Raises:
        InputError: a name would be longer than file systems take.
    """
    stems = Counter(str(PurePosixPath(video).with_suffix("")) for video in videos)
    named = {}
    for video in videos:
        stem = PurePosixPath(video).with_suffix("")
        own = stem if stems[str(stem)] == 1 and str(stem) not in videos else PurePosixPath(video)
        named[video] = output.parent / own.with_name(f"{own.name}.{output.stem}{suffix}")
        if len(os.fsencode(named[video].name)) > NAME_BYTES:
            raise InputError(f"{video}: {named[video].name} is longer than {NAME_BYTES} bytes: rename the video")
    return named
