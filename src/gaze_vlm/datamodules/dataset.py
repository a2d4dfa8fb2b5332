"""Clips of a prepared store, decoded on demand, as they are or as a model reads them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from gaze_vlm.datamodules.clip import Clip, Task
from gaze_vlm.datamodules.feature_files import FeatureFiles, digest_of
from gaze_vlm.datamodules.gaze_input import DRAWING, GazeInput, GazePoint, draw_gaze, gaze_points, written
from gaze_vlm.datamodules.gaze_sources import GazeSource
from gaze_vlm.datamodules.targets import Targets
from gaze_vlm.errors import TimeLimitError, UserError
from gaze_vlm.formats.video import frames_at
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.regions import FrameRegions
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.preparation.files import fingerprint
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.store import Store

DESCRIBED_CLIPS = 2**16  # about a kilobyte each
MOST_UNREADABLE = 50  # clips in a row: then it is not the clips that are damaged
MOST_HANGING = 3  # videos in a row whose decoders hang: each takes its time
BLANK = 127  # the middle of a pixel's range
BLANK_SIZE_PX = 64, 64  # of any size a model makes the same

ShownFrames = Literal["own", "blank"]


@dataclass(frozen=True)
class DescribedClip:
    """What is known of a clip's frames without decoding them.

    Their timestamps in the video, their times from the clip's start, a digest of what they show (the video's file,
    which frames they are, what is drawn on them), and the clip's gaze, with its place in each frame where the model is
    given that, and its targets where attention is pulled toward others.
    """

    pts: list[int]
    frame_times_s: list[float]
    content: str
    gaze: GazeMixture
    points: list[GazePoint | None]
    targets: FrameRegions | None


class ClipDataset(Dataset[Clip]):
    """Clips × tasks, decoded by pts on demand.

    They have their frames, or after `prepare_for` what a model reads of them.

    Args:
        store: has the clips' videos.
        records: the clips.
        tasks: the question of each task.
        gaze: the gaze that a clip is served with.
        frames: `own`, or `blank` ones.
        gaze_input: how the model is given the gaze, if at all.
        cached_clips: clips that are kept in memory as the model reads them.
        targets: what attention is pulled toward in place of gaze.
        replaces: serve the next clip in place of one that cannot be read; else it is an error.
        decode_timeout_s: seconds that decoding a clip may take, beyond which it cannot be read; None waits for ever.
    """

    def __init__(
        self,
        store: Store,
        records: list[ClipRecord],
        tasks: dict[Task, str],
        gaze: GazeSource,
        frames: ShownFrames = "own",
        gaze_input: GazeInput = "none",
        cached_clips: int = 0,
        targets: Targets | None = None,
        replaces: bool = False,
        decode_timeout_s: float | None = None,
    ) -> None:
        self.store = store
        self.records = records
        self.samples = [(index, task) for index in range(len(records)) for task in tasks]
        self.tasks = tasks
        self.gaze = gaze
        self.frames: ShownFrames = frames
        self.gaze_input: GazeInput = gaze_input
        self.cached_clips = cached_clips
        self.targets = targets
        self.replaces = replaces
        self.decode_timeout_s = decode_timeout_s
        self.pixel_values: Callable[[Tensor], Tensor] | None = None
        self.features: FeatureFiles | None = None
        self._keep_in_memory()

    def prepare_for(self, pixel_values: Callable[[Tensor], Tensor], features: FeatureFiles | None) -> None:
        """Serve what a model reads of a clip's frames, rather than these.

        Args:
            pixel_values: makes the model's pixels of frames.
            features: where the features of every clip are, which are served in their place.
        """
        self.pixel_values, self.features = pixel_values, features
        self.visual.cache_clear()  # what another model reads

    def _keep_in_memory(self) -> None:
        self.described = lru_cache(maxsize=DESCRIBED_CLIPS)(self.describe)
        self.visual = lru_cache(maxsize=self.cached_clips)(self.read)

    def __getstate__(self) -> dict[str, Any]:
        """For a loader's process that is no fork of this one: what is kept in memory stays here."""
        return {name: value for name, value in vars(self).items() if name not in ("described", "visual")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._keep_in_memory()

    def read(self, position: int) -> Mapping[str, Tensor]:
        """Return what a model reads of a record's frames, once `prepare_for` has named it."""
        if self.features is not None:
            return {"features": self.features.read(self.described(position).content)}
        assert self.pixel_values is not None
        return {"pixel_values": self.pixel_values(self.decode(position))}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Clip:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Clip]:
        """Return the samples of a batch; those that show the same clip share its frames."""
        shown = {position: self.shown(position) for position in dict.fromkeys(self.samples[i][0] for i in indices)}
        clips = []
        for index in indices:
            asked, task = self.samples[index]
            position, read, stands_for = shown[asked]
            record, described = self.records[position], self.described(position)
            verb, noun = record.labels(task)
            clips.append(
                Clip(
                    clip_id=record.clip_id,
                    video_id=record.video_id,
                    session=record.session,
                    task=task,
                    frames=read if isinstance(read, Tensor) else None,
                    frame_times_s=described.frame_times_s,
                    gaze=described.gaze,
                    prompt=self.tasks[task] + written(described.points, self.gaze_input),
                    target=record.text(task),
                    verb=verb,
                    noun=noun,
                    same_action=record.same_action,
                    future_starts_in_s=record.future_starts_in_s,
                    nouns=record.nouns,
                    session_end_s=record.session_end_s,
                    targets=described.targets,
                    visual={} if isinstance(read, Tensor) else read,
                    stands_for=stands_for,
                )
            )
        return clips

    def shown(self, position: int) -> tuple[int, Tensor | Mapping[str, Tensor], str]:
        """Read the clip that is served for a record: its own, or the next that can be read.

        Where a decoder hangs, the next is of another video.

        Returns:
            Where the clip is, its frames or what the model reads of them, and why its own could not be read.

        Raises:
            UserError: its own cannot be read, and no other may stand for it, or none of the next can be read either.
            OSError: the file system refused its own.
        """
        refused: UserError | OSError | None = None
        hanging: set[str] = set()
        in_turn = chain(range(position, len(self.records)), range(position))
        others = (one for one in in_turn if self.records[one].video_id not in hanging)
        for one in islice(others, MOST_UNREADABLE if self.replaces else 1):
            try:
                read = self.decode(one) if self.pixel_values is None else self.visual(one)
            except (UserError, OSError) as error:
                refused = refused or error
                if isinstance(error, TimeLimitError):
                    hanging.add(self.records[one].video_id)
                if len(hanging) == MOST_HANGING:
                    break
            else:
                return one, read, "" if refused is None else f"{self.records[position].clip_id}: {refused}"
        assert refused is not None
        raise refused

    def describe(self, position: int) -> DescribedClip:
        """Return what is known of a record's frames without decoding them."""
        record = self.records[position]
        video, entry = self.store.video(record.video_id), self.store.manifest.videos[record.video_id]
        times_s = [float(t) for t in video.frame_t_s[record.sampled_frames] - record.start_s]
        of_file = (entry.file_bytes, entry.file_ends)
        if not entry.file_ends:  # an older store lacks them
            of_file = fingerprint(self.store.video_path(record.video_id))
        pts = video.frame_pts[record.sampled_frames].tolist()
        shown = [*of_file, *pts] if self.frames == "own" else [self.frames, record.frames]
        gaze = self.gaze(position)
        points = [] if self.gaze_input == "none" else gaze_points(gaze)
        if self.gaze_input == "drawn":
            shown += [*DRAWING, *points]
        targets = None
        if self.targets is not None:
            of_video = [float(t) for t in video.frame_t_s[record.sampled_frames]]
            targets = self.targets.regions(record.video_id, of_video, gaze.sigma, entry.aspect)
        return DescribedClip(pts, times_s, digest_of(shown), gaze, points, targets)

    def decode(self, position: int) -> Tensor:
        """Return the frames of a record as they are shown, uint8 [frame, 3, height, width]."""
        if self.frames == "blank":
            return torch.full((self.records[position].frames, 3, *BLANK_SIZE_PX), BLANK, dtype=torch.uint8)
        described, path = self.described(position), self.store.video_path(self.records[position].video_id)
        frames = to_frames(torch.from_numpy(frames_at(path, described.pts, timeout_s=self.decode_timeout_s)))
        return draw_gaze(frames, described.points) if self.gaze_input == "drawn" else frames
