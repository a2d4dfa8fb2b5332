"""A folder of videos, gaze tables and texts: data of one's own, in any of the formats that there is a parser for."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar, get_args

from gaze_vlm.errors import InputError, first_of
from gaze_vlm.formats import video_header
from gaze_vlm.formats.captions import read_captions, read_spans, warn_of_no_texts
from gaze_vlm.formats.csv_tables import csv_header, csv_rows, known_columns
from gaze_vlm.formats.gaze_points import MIN_CONFIDENCE
from gaze_vlm.formats.gaze_tables import (
    EXPORTS,
    GazeFormat,
    gaze_format,
    read_gaze_table,
    recording_file,
    where_instead,
)
from gaze_vlm.formats.participants import read_participants
from gaze_vlm.formats.recording import (
    VIDEO_SUFFIXES,
    Action,
    Recording,
    group_by_missing,
    id_of,
    videos_by_name,
    videos_in,
)
from gaze_vlm.formats.video_header import VideoInfo, video_info
from gaze_vlm.gaze.samples import GazeSamples
from gaze_vlm.ranges import in_unit_interval

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class FolderReader:
    """Reader of `<root>/{videos,gaze,captions.csv}`.

    `videos/<video>.mp4` (or .mov, .mkv, .webm, .avi) has its gaze in `gaze/<video>.csv` (or .tsv, .txt), or in a folder
    `gaze/<video>` with the files of a Pupil, Tobii or Ego-Exo4D recording. `captions.csv` has texts of seconds
    (`video_id,second,text`) or of spans (`video_id,start_s,end_s,text[,verb,noun]`). An optional `participants.csv`
    (`video_id,participant`) says who wears the camera; without it, or a row in it, each video is its own participant.

    Videos and participants may have any name; `id_of` makes their ids. Tables have the names.

    Args:
        root: the folder.
        gaze: format of the files of gaze; None finds each one's by its name or header.
        min_confidence: samples of the formats generic and pupil_core with less are untracked.
        frame_width_px: width of the frames that gaze in pixels is of, and the aspect of the videos; None takes each
            video's own, as players show it. Needed where videos were made smaller.
        frame_height_px: height of these frames.

    Raises:
        InputError: an option is out of range, or a part of the folder is missing.
    """

    dataset: ClassVar[str] = "folder"

    root: Path
    _: KW_ONLY
    gaze: GazeFormat | None = None
    min_confidence: float = MIN_CONFIDENCE
    frame_width_px: int | None = None
    frame_height_px: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        if self.gaze not in (None, *get_args(GazeFormat)):
            raise InputError(f"gaze is {self.gaze!r}; expected one of {', '.join(get_args(GazeFormat))}")
        if (self.frame_width_px is None) != (self.frame_height_px is None):
            raise InputError("set both frame_width_px and frame_height_px, or neither")
        in_unit_interval(min_confidence=self.min_confidence)
        for name in ("frame_width_px", "frame_height_px"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; expected 1 or more")
        for path, fix in (
            (self.root / "videos", "put the videos there"),
            (self.root / "gaze", "put a gaze table or export of each video there"),
            (self._captions, "write the texts of the videos to it"),
        ):
            if not path.exists():
                raise InputError(f"{path} is missing: {fix}; docs/importers.md has the layout")

    @property
    def verbs(self) -> tuple[str, ...]:
        """Verbs that the texts are labelled with."""
        return _labels([action.verb for actions in self._actions([]).values() for action in actions])

    @property
    def nouns(self) -> tuple[str, ...]:
        """Nouns that the texts are labelled with."""
        return _labels([action.noun for actions in self._actions([]).values() for action in actions])

    def recordings(self) -> list[Recording]:
        """Return all videos, sorted by name."""
        videos, gaze = self._videos(), self._gaze_files()
        actions = self._actions(list(videos))
        warn_of_no_texts(chain.from_iterable(actions.values()), self._captions)
        participants = read_participants(self.root / "participants.csv", videos)
        if not actions.keys() & videos.keys() and (named := sorted({name.strip() for name in self._named()})):
            raise InputError(
                f"{self._captions} has rows of {first_of(named)}, of which there is no video, and none of "
                f"{first_of(sorted(videos))}: correct the names, which have no suffix"
            )
        sizes = {name: self._frame_size(video) for name, video in videos.items()}
        return [
            Recording(
                video_id=name,
                video=video,
                gaze=_only(gaze.get(name, []), video),
                participant=participants.get(name, name),
                gaze_width_px=sizes[name][0],
                gaze_height_px=sizes[name][1],
                actions=tuple(sorted(actions.get(name, ()), key=lambda action: (action.start_s, action.end_s))),
            )
            for name, video in sorted(videos.items())
        ]

    def left_out(self) -> dict[str, list[str]]:
        """Return the names with gaze or texts that no video has."""
        gaze = {id_of(name, str(path)): name for path, name in _names_in(self.root / "gaze")}
        named = {id_of(name, str(self._captions)): name.strip() for name in self._named()}
        names = {**gaze, **named}
        lacking = group_by_missing(set(names) - set(self._videos()), {"video": (), "gaze": gaze, "labels": named})
        return {reason: sorted(names[id_] for id_ in ids) for reason, ids in lacking.items()}

    def read_gaze(self, recording: Recording) -> GazeSamples:
        """Read the gaze of one video.

        Raises:
            InputError: the gaze table is missing, of no known format, or malformed, or an export's frames are not the
                video's.
        """
        if recording.gaze is None:
            name = recording.video.stem
            own = [path for path, other in _names_in(self.root / "gaze") if id_of(other, "") == recording.video_id]
            if instead := next(filter(None, map(where_instead, own)), ""):
                raise InputError(f"{name} has no gaze: {instead}")
            places = f"{name}.csv, or a folder {name} with {' or '.join(EXPORTS)}"
            raise InputError(f"{self.root / 'gaze'} has no gaze of {name}: put there {places}{self._similar(name)}")
        return read_gaze_table(
            recording.gaze,
            gaze_format(recording.gaze, self.gaze),
            self.min_confidence,
            (recording.gaze_width_px, recording.gaze_height_px),
            _info(recording.video),
        )

    def _similar(self, name: str) -> str:
        """What to do with files of gaze that may be the video's by another name."""
        found = [path for path, _ in _names_in(self.root / "gaze") if name.lower() in path.name.lower()]
        videos = self._videos() if found else {}
        others = [path.name for path in found if path.stem == name or id_of(path.stem, str(path)) not in videos]
        return (
            f"; {first_of(others)} is there: is it a table of that video, to be renamed or converted?" if others else ""
        )

    @property
    def _captions(self) -> Path:
        return self.root / "captions.csv"

    def _videos(self) -> dict[str, Path]:
        folder = self.root / "videos"
        videos = videos_in(folder)
        if not videos:
            names = [f"{path.name}/" if path.is_dir() else path.name for path, _ in _names_in(folder)]
            has = f", but {first_of(names)}" if names else ""
            raise InputError(
                f"{folder} holds no video ({', '.join(VIDEO_SUFFIXES)}){has}: put the videos there, in no subfolder"
            )
        return videos_by_name(videos, lambda video: id_of(video.stem, str(video)))

    def _gaze_files(self) -> dict[str, list[Path]]:
        """Tables and exports of gaze by the id of their video; an export's best file stands for it."""
        found: dict[str, list[Path]] = {}
        for path, name in _names_in(self.root / "gaze"):
            file = recording_file(path) if path.is_dir() else path
            if file is not None and (path.is_dir() or path.suffix.lower() in TABLE_SUFFIXES):
                found.setdefault(id_of(name, str(path)), []).append(file)
        return found

    def _named(self) -> list[str]:
        return [name for _, (name,) in csv_rows(self._captions, ["video_id"], ["video_id"])]

    def _actions(self, videos: Sequence[str]) -> Mapping[str, Sequence[Action]]:
        found = known_columns(csv_header(self._captions), ("video_id", "start_s"))
        if "video_id" not in found:
            raise InputError(
                f"{self._captions}: no column video_id in its first line; docs/importers.md has the columns"
            )
        if "start_s" in found:
            return read_spans(self._captions)
        return read_captions(self._captions, videos)

    def _frame_size(self, video: Path) -> tuple[int, int]:
        if self.frame_width_px is not None and self.frame_height_px is not None:
            return self.frame_width_px, self.frame_height_px
        info = _info(video)
        return (1, 1) if info is None else info.shown_px


def _info(video: Path) -> VideoInfo | None:
    """The header of a video; None without one: the preparation will find the error, and put it into quarantine."""
    try:
        return video_info(video, video_header.READER_TIMEOUT_S)
    except ValueError:
        return None


def _names_in(folder: Path) -> list[tuple[Path, str]]:
    """Files and folders of a folder with their names, without suffix; hidden ones are left out."""
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    return [(path, path.stem if path.is_file() else path.name) for path in paths]


def _only(found: Sequence[Path], video: Path) -> Path | None:
    if len(found) > 1:
        raise InputError(f"{video.stem} has gaze in {found[0]} and {found[1]}: keep one of them")
    return found[0] if found else None


def _labels(labels: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(sorted({label for label in labels if label is not None}))
