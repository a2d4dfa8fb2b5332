"""Rows of a store's tables: clips, videos, and the manifest that binds them."""

from dataclasses import dataclass
from typing import Any, Literal

Split = Literal["train", "validation", "test"]
Task = Literal["activity", "future"]


@dataclass(frozen=True, slots=True)  # a data set has hundreds of thousands
class ClipRecord:
    """One clip: sampled frames of a video that end at `end_s`.

    The frames are `last_frame - frames + 1` … `last_frame`. `activity_*` is the action at `end_s`, `future_*` the one
    at `end_s` + anticipation_s; `same_action` if both are one and the same. `future_starts_in_s` is the time from
    `end_s` to the start of the future action itself, not above 0 where that has begun. `session` is what the video was
    recorded in, and begins at the session's `session_start_s`: the video itself, at 0, unless it is a trimmed one.
    `nouns` are the noun labels in the texts of all actions that go on between the clip's start and the time of the
    future action.
    """

    clip_id: str
    video_id: str
    session: str
    session_start_s: float
    participant: str
    split: str
    last_frame: int
    frames: int
    start_s: float
    end_s: float
    activity_text: str
    activity_verb: str | None
    activity_noun: str | None
    future_text: str
    future_verb: str | None
    future_noun: str | None
    same_action: bool
    future_starts_in_s: float
    nouns: tuple[str, ...]

    def text(self, task: Task) -> str:
        """Return the target text of a task."""
        return self.activity_text if task == "activity" else self.future_text

    def labels(self, task: Task) -> tuple[str | None, str | None]:
        """Return the verb and the noun label of a task's action; None where there is none."""
        activity, future = (self.activity_verb, self.activity_noun), (self.future_verb, self.future_noun)
        return activity if task == "activity" else future

    @property
    def session_end_s(self) -> float:
        """Seconds from the session's start to the end of the clip."""
        return self.session_start_s + self.end_s

    @property
    def sampled_frames(self) -> slice:
        """The clip's frames among the video's sampled ones."""
        return slice(self.last_frame - self.frames + 1, self.last_frame + 1)


@dataclass(frozen=True)
class VideoEntry:
    """One video of the manifest.

    `path` is relative to the raw root; the size is the gaze space's. A `reencoded` video has a copy in the store, whose
    timestamps `frame_pts` are. `file_bytes` and `file_ends` identify the decoded file, the raw one or the copy; see
    `fingerprint`. `made_from` marks the gaze, the video and the parameters that its arrays were made from. A store may
    be older than these three.
    """

    path: str
    participant: str
    width_px: int
    height_px: int
    duration_s: float
    frames: int
    reencoded: bool = False
    file_bytes: int = 0
    file_ends: str = ""
    made_from: str = ""

    @property
    def aspect(self) -> float:
        """Width of the frame over its height."""
        return self.width_px / self.height_px


@dataclass(frozen=True)
class Manifest:
    """What a store holds.

    `points` is the number of gaze points that frames are padded to when read. `reader` has the options of the data
    set's reader.
    """

    schema_version: int
    dataset: str
    parameters: dict[str, Any]
    root: str
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    points: int
    reader: dict[str, Any]
    videos: dict[str, VideoEntry]
