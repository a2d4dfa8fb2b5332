"""Attention of runs over the same clips, each computed by the run's own trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.colors import Normalize

from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.datamodules.dataset import ClipDataset
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.overlay import one_scale
from gaze_vlm.progress import work_progress
from gaze_vlm.report.attention import NO_ATTENTION, attention_of, named_clips
from gaze_vlm.report.attention_figure import ClipAttention
from gaze_vlm.training.configured import load_run


class VideoSpan(NamedTuple):
    """Where a clip is in its video: its span in seconds, and the timestamps of its sampled frames."""

    path: Path
    start_s: float
    end_s: float
    pts: tuple[int, ...]


@dataclass(frozen=True)
class ComparedAttention:
    """Some clips, and the attention of each arm that has any.

    `guide` is the arm whose grid gaze is shown on.
    """

    clips: tuple[Clip, ...]
    spans: tuple[VideoSpan, ...]
    questions: dict[str, str]
    of_arm: dict[str, ClipAttention]
    guide: str

    def frame_of(self, index: int) -> int:
        """Return the last frame of a clip whose gaze counts, else its last."""
        of_guide = self.of_arm[self.guide]
        frames = range(len(self.clips[index].frame_times_s))
        return max((frame for frame in frames if of_guide.gaze_at(index, frame) is not None), default=frames[-1])

    def share_on_gaze(self, arm: str, index: int) -> float | None:
        """Return the mass that attention and gaze share; None without valid gaze.

        It is of the frame that is shown.
        """
        frame = self.frame_of(index)
        gaze, own = self.of_arm[self.guide].gaze_at(index, frame), self.of_arm.get(arm)
        if gaze is None or own is None or own.gaze.shape[2:] != gaze.shape:
            return None
        return float(np.minimum(gaze, own.attention_at(index, frame)).sum() / gaze.size)

    def scale(self) -> Normalize:
        """Return the one scale of all that is shown."""
        shown = []
        for index in range(len(self.clips)):
            frame = self.frame_of(index)
            shown += [one.attention_at(index, frame) for one in self.of_arm.values()]
            gaze = self.of_arm[self.guide].gaze_at(index, frame)
            shown += [] if gaze is None else [gaze]
        return one_scale(shown)


def attention_of_runs(runs: Mapping[str, Path], guide: str, clip_ids: Sequence[str]) -> ComparedAttention:
    """Run each arm's trained model over some test clips, one clip at a time, each as the run's own test shows it.

    Args:
        runs: arm → its run directory.
        guide: the arm whose clips and gaze are shown.
        clip_ids: the clips.

    Raises:
        InputError: an id that no test clip has, or an arm to guide by that has no attention.
    """
    clips: list[Clip] = []
    spans: list[VideoSpan] = []
    questions: dict[str, str] = {}
    of_arm: dict[str, ClipAttention] = {}
    with work_progress("attention of runs", len(runs)) as progress:
        for arm in sorted(runs, key=lambda arm: arm != guide):
            cli = load_run(runs[arm])
            dataset = cli.datamodule.tested()
            indices = named_clips(dataset, clip_ids)
            own = [dataset[index] for index in indices]
            if not clips:
                clips = own
                spans = [span_of(dataset, dataset.samples[index][0]) for index in indices]
                questions = {str(task): question for task, question in dataset.tasks.items()}
            collator = cli.model.backbone.collator()
            parts = [attention_of(cli, collator([clip]), runs[arm]) for clip in own]
            found = [part for part in parts if part is not None]
            if found:
                of_arm[arm] = joined(found)
            elif arm == guide:
                raise InputError(f"{runs[arm]}: {NO_ATTENTION}")
            progress.advance()
    return ComparedAttention(
        tuple(clips), tuple(spans), questions, {arm: of_arm[arm] for arm in runs if arm in of_arm}, guide
    )


def span_of(dataset: ClipDataset, position: int) -> VideoSpan:
    """Return the span of a record of a data set in its video."""
    record = dataset.records[position]
    pts = tuple(dataset.described(position).pts)
    return VideoSpan(dataset.store.video_path(record.video_id), record.start_s, record.end_s, pts)


def middle_one(attention: ComparedAttention, indices: Sequence[int], control: str) -> int:
    """Return the clip whose gain in attention on gaze over the control is median.

    Counted is the frame that is shown.
    """

    def gain(index: int) -> float:
        shares = [attention.share_on_gaze(arm, index) or 0.0 for arm in (attention.guide, control)]
        return shares[0] - shares[1]

    return sorted(indices, key=gain)[len(indices) // 2]


def joined(parts: Sequence[ClipAttention]) -> ClipAttention:
    """Join a run's attention over several lots of clips."""
    first = parts[0]
    attention, gaze, valid = (
        np.concatenate([getattr(one, key) for one in parts]) for key in ("attention", "gaze", "valid")
    )
    return ClipAttention(first.arm, first.run, attention, gaze, valid, first.covered_view, first.frames_per_group)
