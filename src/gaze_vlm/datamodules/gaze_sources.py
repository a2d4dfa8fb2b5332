"""Whose gaze a clip is served with: its own, that of another clip, or none at all."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import torch

from gaze_vlm.datamodules.gaze_options import GazeNoise, GazeOptions
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.store import Store

TrainingGaze = Literal["own", "shuffled", "shuffled_in_time", "centre"]
CENTRE_SIGMA = 0.2  # in frame widths


class GazeSource(Protocol):
    """Gaze of the clips of a data set, by their position in it."""

    def __call__(self, position: int, /) -> GazeMixture:
        """Return the gaze of a clip's frames."""


@dataclass(frozen=True)
class StoredGaze:
    """Gaze points of a store.

    Args:
        store: has the points.
        records: the clips.
        options: how points become a mixture.
        donors: the clip whose gaze each of them is given. None for a clip: its frames have no valid gaze.
        noise: errors put on the gaze.
    """

    store: Store
    records: Sequence[ClipRecord]
    options: GazeOptions
    donors: Sequence[ClipRecord | None]
    noise: GazeNoise = GazeNoise()  # noqa: RUF009 (frozen)

    def __call__(self, position: int) -> GazeMixture:
        """Return the gaze of a clip's frames."""
        donor = self.donors[position]
        record = donor or self.records[position]
        video, aspect = self.store.video(record.video_id), self.store.manifest.videos[record.video_id].aspect
        mixture = self.options.mixture(video, record.sampled_frames, aspect)
        if donor is None:
            return replace(mixture, weight=torch.zeros_like(mixture.weight))
        return self.noise(mixture, record.clip_id, record.video_id)

    @property
    def without_donor(self) -> int:
        """How many clips have no donor."""
        return sum(donor is None for donor in self.donors)


def centre_prior(frames: int, aspect: float) -> GazeMixture:
    """Return one broad Gaussian at the centre of every frame.

    Egocentric gaze falls there without looking at the scene.
    """
    return GazeMixture(torch.full((frames, 1, 2), 0.5), torch.ones(frames, 1), CENTRE_SIGMA, aspect)


@dataclass(frozen=True)
class CentrePrior:
    """The centre prior of a data set's clips."""

    store: Store
    records: Sequence[ClipRecord]

    def __call__(self, position: int) -> GazeMixture:
        """Return the Gaussian, for each frame of a clip."""
        record = self.records[position]
        return centre_prior(record.frames, self.store.manifest.videos[record.video_id].aspect)


def of_other_sessions(records: Sequence[ClipRecord], draw: np.random.Generator) -> list[ClipRecord]:
    """Return a clip of another session for each clip, every one of them once.

    Args:
        records: the clips, those of a session together.
        draw: draws how far they are rotated.

    Raises:
        InputError: more than half of the clips are of one session.
    """
    longest = max(Counter(record.session for record in records).values())
    if 2 * longest > len(records):
        raise InputError("gaze cannot be shuffled: more than half of the training clips are of one session")
    shift = int(draw.integers(longest, len(records) - longest + 1))
    return [records[(position + shift) % len(records)] for position in range(len(records))]


def of_other_times(
    records: Sequence[ClipRecord], candidates: Iterable[ClipRecord], window_s: float
) -> list[ClipRecord | None]:
    """Return a clip of another time of the same session for each clip.

    A session's clips are rotated by half of their number, the shift that takes all of them far. A clip whose donor
    would share seconds with it, gaze windows included, has none: one that is alone in its session, or in a session
    shorter than two clips.

    Args:
        records: the clips.
        candidates: clips to take gaze from, `records` among them.
        window_s: seconds of gaze before a frame that count.

    Raises:
        InputError: no clip has a donor.
    """
    sessions = defaultdict(list)
    for record in candidates:
        sessions[record.session].append(record)
    donors: dict[str, ClipRecord | None] = {}
    for clips in sessions.values():
        clips.sort(key=lambda clip: clip.session_end_s)
        for position, clip in enumerate(clips):
            donor = clips[(position + len(clips) // 2) % len(clips)]
            apart_s = abs(donor.session_end_s - clip.session_end_s)
            donors[clip.clip_id] = donor if apart_s >= clip.end_s - clip.start_s + window_s else None
    found = [donors[record.clip_id] for record in records]
    if not any(found):
        raise InputError(
            "gaze cannot be shuffled in time: no training clip has another one in its session that shares no second "
            "with it; set train_gaze to shuffled, or prepare longer sessions"
        )
    return found


def gaze_of_training(
    whose: TrainingGaze,
    store: Store,
    records: Sequence[ClipRecord],
    options: GazeOptions,
    noise: GazeNoise,
    draw: np.random.Generator,
) -> GazeSource:
    """Return the gaze that training clips are served with.

    Args:
        whose: see `ClipDataModule`.
        store: has the points.
        records: the training clips, those of a session together.
        options: how points become a mixture.
        noise: errors put on the gaze, but for the centre prior.
        draw: draws what is shuffled.

    Raises:
        InputError: there is no other gaze to give the clips.
    """
    donors: Sequence[ClipRecord | None] = records
    if whose == "centre":
        return CentrePrior(store, records)
    if whose == "shuffled":
        donors = of_other_sessions(records, draw)
    elif whose == "shuffled_in_time":
        training = (record for record in store.clips if record.split == "train")
        donors = of_other_times(records, training, options.window_s)
    return StoredGaze(store, records, options, donors, noise)
