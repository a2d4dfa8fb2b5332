"""Clips of a prepared store, decoded on demand."""

from functools import lru_cache

import torch
from torch.utils.data import Dataset

from gaze_vlm.datamodules.clip import Clip, Task
from gaze_vlm.datamodules.gaze_options import GazeNoise, GazeOptions, TrainingGaze, centre_prior
from gaze_vlm.formats.video import frames_at
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.store import Store


class ClipDataset(Dataset[Clip]):
    """Clips × tasks, decoded by pts on demand; the last `cached_clips` are kept."""

    def __init__(
        self,
        store: Store,
        records: list[ClipRecord],
        tasks: dict[Task, str],
        options: GazeOptions,
        gaze: TrainingGaze = "own",
        shift: int = 0,
        cached_clips: int = 0,
        noise: GazeNoise = GazeNoise(),  # noqa: B008 (frozen)
    ) -> None:
        self.store = store
        self.records = records
        self.samples = [(index, task) for index in range(len(records)) for task in tasks]
        self.tasks = tasks
        self.options = options
        self.gaze = gaze
        self.shift = shift
        self.noise = noise
        self.frames = lru_cache(maxsize=cached_clips)(self.decode)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Clip:
        position, task = self.samples[index]
        record = self.records[position]
        return Clip(
            clip_id=record.clip_id,
            video_id=record.video_id,
            session=record.session,
            task=task,
            frames=self.frames(position),
            frame_times_s=self.frame_times_s(record),
            gaze=self.mixture(position),
            prompt=self.tasks[task],
            target=record.text(task),
            verb=record.activity_verb if task == "activity" else record.future_verb,
            noun=record.activity_noun if task == "activity" else record.future_noun,
            same_step=record.same_step,
            future_starts_in_s=record.future_starts_in_s,
            nouns=record.nouns,
        )

    def decode(self, position: int) -> torch.Tensor:
        """Decode the frames of a record, uint8 [frame, 3, height, width]."""
        record = self.records[position]
        pts = self.store.video(record.video_id).frame_pts[record.sampled_frames].tolist()
        return to_frames(torch.from_numpy(frames_at(self.store.video_path(record.video_id), pts)))

    def frame_times_s(self, record: ClipRecord) -> list[float]:
        """Return the times of a record's frames from its clip's start."""
        times_s = self.store.video(record.video_id).frame_t_s[record.sampled_frames]
        return [float(t) for t in times_s - record.start_s]

    def mixture(self, position: int) -> GazeMixture:
        """Return the gaze that the arm trains with."""
        record = self.records[position]
        if self.gaze == "centre":
            return centre_prior(record.frames, self.store.manifest.videos[record.video_id].aspect)
        if self.gaze == "shuffled":
            record = self.records[(position + self.shift) % len(self.records)]
        video, aspect = self.store.video(record.video_id), self.store.manifest.videos[record.video_id].aspect
        mixture = self.options.mixture(video, record.sampled_frames, aspect)
        return self.noise(mixture, record.clip_id, record.video_id)
