"""EGTEA Gaze+ as it is on disk: sessions or trimmed clips, gaze texts and actions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from gaze_vlm.errors import InputError
from gaze_vlm.formats import video_header
from gaze_vlm.formats.begaze import BEGAZE_HEIGHT_PX, BEGAZE_WIDTH_PX, FRAME_HZ, read_begaze
from gaze_vlm.formats.egtea_labels import (
    ClipName,
    actions_of_splits,
    parts_of_actions,
    read_action_labels,
    read_index,
    read_splits,
    session_key,
)
from gaze_vlm.formats.participants import warn_of_spellings
from gaze_vlm.formats.recording import (
    VIDEO_SUFFIXES,
    Action,
    Recording,
    check_tree,
    files_in,
    group_by_missing,
    videos_in,
)
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.gaze.samples import GazeSamples

LABELS = Path("raw_annotations") / "action_labels.csv"
FOLDERS = {"sessions": "videos", "clips": "cropped_clips"}
FRAME_TOLERANCE = 1  # whether a trimmed clip holds the last frame of its name is not documented


class EgteaReader:
    """Reader of `<root>/{videos | cropped_clips, gaze_data, action_annotation}`.

    Names are matched without regard to case. Actions come from `raw_annotations/action_labels.csv`; where that is
    missing, from the files of the official split and the index files. Each action knows its part of that split.
    What has gaze or labels but no video is left out and listed in `left_out`; a video whose gaze is missing is kept,
    with `gaze=None`.

    A trimmed clip is a recording of its own, in its own time: gaze and actions of its session are shifted by the
    first frame of its name. It has all actions of the session that it overlaps, and the official split of the one
    it was cut for.

    Args:
        root: folder of the data set.
        videos: `sessions` reads `videos/<session>.mp4`, `clips` reads `cropped_clips/<session>/<clip>.mp4` (or .mov,
            .mkv, .webm, .avi); None takes the sessions if `videos` is there.
        split: which of the three official splits the actions' `split` is of.

    Raises:
        InputError: parts of the data set are missing; the message names them all.
    """

    dataset = "egtea"

    def __init__(self, root: Path, *, videos: Literal["sessions", "clips"] | None = None, split: int = 1) -> None:
        if videos not in (None, *FOLDERS):
            raise InputError(f"videos is {videos!r}; expected one of {', '.join(FOLDERS)}")
        if split not in (1, 2, 3):
            raise InputError(f"split is {split!r}; EGTEA Gaze+ has the splits 1, 2 and 3")
        self.root = Path(root)
        self.annotations = self.root / "action_annotation"
        if videos is None:
            clips_only = (self.root / FOLDERS["clips"]).is_dir() and not (self.root / FOLDERS["sessions"]).is_dir()
            videos = "clips" if clips_only else "sessions"
        self.trimmed = videos == "clips"
        self.split = split
        labels = [self.annotations / LABELS, self.root / LABELS]
        self.labels = next((path for path in labels if path.is_file()), labels[0])
        self._check_root()
        self.verbs = read_index(self.annotations / "verb_idx.txt")
        self.nouns = read_index(self.annotations / "noun_idx.txt")

    def recordings(self) -> list[Recording]:
        """Return all sessions, or all trimmed clips, sorted by name."""
        gaze, actions = self._gaze_texts(), self._actions()
        recordings = []
        for video in sorted(self._videos(), key=lambda path: path.stem):
            key = session_key(self._session(video))
            recording = Recording(
                video_id=video.stem,
                video=video,
                gaze=gaze.get(key),
                participant=video.stem.split("-")[0].upper(),
                gaze_width_px=BEGAZE_WIDTH_PX,
                gaze_height_px=BEGAZE_HEIGHT_PX,
                actions=tuple(sorted(actions.get(key, ()), key=lambda action: (action.start_s, action.end_s))),
            )
            recordings.append(_trim(recording, ClipName.parse(video.stem, str(video))) if self.trimmed else recording)
        warn_of_spellings((recording.participant for recording in recordings), self._folder)
        return recordings

    def left_out(self) -> dict[str, list[str]]:
        """Return what has gaze or labels and no video, by the reason.

        Names of sessions, and of actions if the videos are trimmed, are in lower case.
        """
        gaze, actions = self._gaze_texts(), self._actions()
        sessions = {session_key(self._session(video)) for video in self._videos()}
        left_out = group_by_missing({*gaze, *actions} - sessions, {"video": (), "gaze": gaze, "labels": actions})
        if self.trimmed:
            cut = {ClipName.parse(video.stem, str(video)).key for video in self._videos()}
            labelled = {
                (session, round(1000 * action.start_s), round(1000 * action.end_s))
                for session in sessions
                for action in actions.get(session, ())
            }
            if missing := sorted("-".join(map(str, key)) for key in labelled - cut):
                left_out["no trimmed clip"] = missing
        return left_out

    def read_gaze(self, recording: Recording) -> GazeSamples:
        """Read the gaze of one recording.

        Raises:
            InputError: the gaze text is missing or malformed, or a trimmed clip is longer or shorter than its name
                says.
        """
        if recording.gaze is None:
            expected = self.root / "gaze_data" / f"{self._session(recording.video)}.txt"
            raise InputError(f"{expected} is missing: the gaze of {recording.video_id}; unpack the gaze archive again")
        if not self.trimmed:
            return read_begaze(recording.gaze)
        clip = ClipName.parse(recording.video_id, str(recording.video))
        _check_length(recording.video, clip)
        status = recording.gaze.stat()
        gaze = _session_gaze(recording.gaze, status.st_size, status.st_mtime_ns)
        start_s, end_s = clip.first_frame / FRAME_HZ, (clip.end_frame + FRAME_TOLERANCE) / FRAME_HZ
        part = gaze.window(start_s - FRAME_TOLERANCE / FRAME_HZ, end_s)
        return replace(part, t_s=part.t_s - start_s)

    def _check_root(self) -> None:
        needed = {
            self._folder: "put the session videos (<session>.mp4) there, or the trimmed clips in cropped_clips",
            self.root / "gaze_data": "unpack the gaze archive (gaze_data.zip) there",
            self.annotations / "verb_idx.txt": "unpack the action annotations there",
            self.annotations / "noun_idx.txt": "unpack the action annotations there",
        }
        if not self.labels.is_file():
            if read_splits(self.annotations, self.split):
                needed[self.annotations / "action_idx.txt"] = "unpack the action annotations there"
            else:
                fix = f"unpack the action annotations there, raw_annotations or train_split{self.split}.txt included"
                needed[self.labels] = fix
        check_tree(self.root, "EGTEA Gaze+", needed)

    @property
    def _folder(self) -> Path:
        return self.root / FOLDERS["clips" if self.trimmed else "sessions"]

    def _session(self, video: Path) -> str:
        return ClipName.parse(video.stem, str(video)).session if self.trimmed else video.stem

    def _videos(self) -> list[Path]:
        videos = videos_in(self._folder, "*/*" if self.trimmed else "*")
        if not videos:
            expected = "<session>/<clip>.mp4" if self.trimmed else "<session>.mp4"
            raise InputError(
                f"{self._folder} holds no video ({', '.join(VIDEO_SUFFIXES)}): put the videos ({expected}) there"
            )
        return list(_by_key(videos).values())

    def _gaze_texts(self) -> dict[str, Path]:
        folder = self.root / "gaze_data"
        texts = (files_in(place, "*.txt") for place in (folder, folder / "gaze_data"))
        return _by_key(next(filter(None, texts), []))

    def _actions(self) -> Mapping[str, Sequence[Action]]:
        rows = read_splits(self.annotations, self.split)
        if self.labels.is_file():
            return read_action_labels(self.labels, parts_of_actions(rows))
        return actions_of_splits(rows, read_index(self.annotations / "action_idx.txt"), self.verbs, self.nouns)


@lru_cache(maxsize=2)  # the trimmed clips of a session come one after the other; size and time identify a file
def _session_gaze(path: Path, size: int, modified_ns: int) -> GazeSamples:
    return read_begaze(path)


def _trim(session: Recording, clip: ClipName) -> Recording:
    """The recording of a trimmed clip, from one that has all actions of its session in the session's time."""
    start_s, end_s = clip.first_frame / FRAME_HZ, clip.end_frame / FRAME_HZ
    own = (clip.start_ms / 1000, clip.end_ms / 1000)
    return replace(
        session,
        session=clip.session,
        session_start_s=start_s,
        actions=tuple(
            replace(action, start_s=action.start_s - start_s, end_s=action.end_s - start_s)
            for action in session.actions
            if action.start_s < end_s and action.end_s > start_s
        ),
        split=next((action.split for action in session.actions if (action.start_s, action.end_s) == own), None),
    )


def _check_length(video: Path, clip: ClipName) -> None:
    duration_s = video_info(video, video_header.READER_TIMEOUT_S).duration_s
    frames, named = round(duration_s * FRAME_HZ), clip.end_frame - clip.first_frame
    if abs(frames - named) > FRAME_TOLERANCE:
        raise InputError(
            f"{video}: {frames} frames at {FRAME_HZ} fps where its name says {named}, so its gaze cannot be placed; "
            "unpack the trimmed clips again"
        )


def _by_key(paths: list[Path]) -> dict[str, Path]:
    """Files by the key of their session or trimmed clip.

    Raises:
        InputError: two files have one key.
    """
    keys = Counter(session_key(path.stem) for path in paths)
    twice = [str(path) for path in paths if keys[session_key(path.stem)] > 1]
    if twice:
        raise InputError(f"several files of one session: {', '.join(twice)}; keep one of them")
    return {session_key(path.stem): path for path in paths}
