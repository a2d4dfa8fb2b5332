"""Clips as a page shows them: frames with gaze, where each arm looked on one scale, what it answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.colors import Normalize

from gaze_vlm.comparison.runs import METRICS, Run
from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.datamodules.dataset import ClipDataset
from gaze_vlm.errors import InputError
from gaze_vlm.metrics.scores import DASH, SCORES
from gaze_vlm.metrics.texts import exact_match
from gaze_vlm.progress import work_progress
from gaze_vlm.report.attention import NO_ATTENTION, attention_of, named_clips
from gaze_vlm.report.attention_figure import ClipAttention
from gaze_vlm.report.html import data_url
from gaze_vlm.report.overlay import jpeg, one_scale, resized, with_density, with_points
from gaze_vlm.runs.prediction import Prediction
from gaze_vlm.training.configured import load_run

WIDTH_PX = 384
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")


@dataclass(frozen=True)
class Picture:
    """An image of a page, as a data URL, with what it shows in words."""

    url: str
    width_px: int
    height_px: int
    caption: str
    words: str


@dataclass(frozen=True)
class Answer:
    """What an arm answered, and its scores as they are shown, in the order of the columns."""

    arm: str
    text: str
    is_target: bool
    scores: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """A question about a clip, its target text, and the answers of all arms."""

    question: str
    target: str
    scores: tuple[str, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class ClipView:
    """A clip: its frames with gaze, its maps at one of them, and what was asked."""

    clip_id: str
    frames: tuple[Picture, ...]
    maps: tuple[Picture, ...]
    asked: tuple[Asked, ...]


class VideoSpan(NamedTuple):
    """Where a clip is in its video: its span in seconds, and the timestamps of its sampled frames."""

    path: Path
    start_s: float
    end_s: float
    pts: tuple[int, ...]


@dataclass(frozen=True)
class ComparedAttention:
    """Some clips, and the attention of each arm that has any; `guide` is the arm whose grid gaze is shown on."""

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
    """Run each arm's trained model over some test clips, one clip at a time.

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
            if not clips:
                dataset = cli.datamodule.tested()
                indices = named_clips(dataset, clip_ids)
                clips = [dataset[index] for index in indices]
                spans = [span_of(dataset, dataset.samples[index][0]) for index in indices]
                questions = {str(task): question for task, question in dataset.tasks.items()}
            collator = cli.model.backbone.collator()
            parts = [attention_of(cli, collator([clip]), runs[arm]) for clip in clips]
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


def view_of(attention: ComparedAttention, index: int, norm: Normalize, runs: Mapping[str, Run]) -> ClipView:
    """Return one of the clips as it is shown.

    Args:
        attention: the clips.
        index: which of them.
        norm: the one scale, `attention.scale()`.
        runs: arm → its run, with the answers.
    """
    clip = attention.clips[index]
    frames = []
    for frame, time_s in enumerate(clip.frame_times_s):
        count = int((clip.gaze.weight[frame] > 0).sum())
        words = f"Frame at {time_s:.1f} s with {count} gaze points{_middle_of_gaze(clip, frame)}"
        frames.append(picture(with_points(_image(clip, frame), clip.gaze, frame), f"{time_s:.1f} s", words))
    return ClipView(
        clip.clip_id, tuple(frames), tuple(maps_of(attention, index, norm)), tuple(_asked(attention, clip, runs))
    )


def maps_of(attention: ComparedAttention, index: int, norm: Normalize) -> list[Picture]:
    """Return the gaze on the model's grid, and each arm's attention, at one frame."""
    frame, clip = attention.frame_of(index), attention.clips[index]
    image, guide = _image(clip, frame), attention.of_arm[attention.guide]
    gaze = guide.gaze_at(index, frame)
    made = []
    if gaze is None:
        made.append(picture(image, "no valid gaze", "Frame without valid gaze"))
    else:
        words = f"Gaze as the patches of the model have it: {place(gaze)}"
        drawn = with_points(with_density(image, gaze, guide.covered_view, norm), clip.gaze, frame, hollow=True)
        made.append(picture(drawn, "gaze, on the patches", words))
    for arm, own in attention.of_arm.items():
        over_uniform = own.attention_at(index, frame)
        words = f"Attention of the arm {arm}: {place(over_uniform)}"
        if (share := attention.share_on_gaze(arm, index)) is not None:
            words += f"; {100 * share:.0f} % of it is on gaze"
        drawn = with_points(with_density(image, over_uniform, own.covered_view, norm), clip.gaze, frame, hollow=True)
        made.append(picture(drawn, arm, words))
    return made


def gaze_picture(attention: ComparedAttention, index: int) -> Picture:
    """Return the frame of a clip with its gaze points."""
    clip, frame = attention.clips[index], attention.frame_of(index)
    words = f"A frame of what the camera wearer sees, with gaze points{_middle_of_gaze(clip, frame)}"
    return picture(with_points(_image(clip, frame), clip.gaze, frame), "Where the camera wearer looked", words)


def place(over_uniform: Float[np.ndarray, "row column"]) -> str:
    """Say where a map is highest, and how high."""
    rows, columns = over_uniform.shape
    row, column = np.unravel_index(int(over_uniform.argmax()), over_uniform.shape)
    where = _named((column + 0.5) / columns, (row + 0.5) / rows)
    return f"highest at the {where}, {over_uniform.max():.1f} times an even spread"


def picture(image: np.ndarray, caption: str, words: str) -> Picture:
    """Return an RGB image as a picture of the page."""
    height_px, width_px = image.shape[:2]
    return Picture(data_url(jpeg(image), "image/jpeg"), width_px, height_px, caption, words)


def _image(clip: Clip, frame: int) -> np.ndarray:
    assert clip.frames is not None
    return resized(clip.frames[frame].numpy(), WIDTH_PX)


def _middle_of_gaze(clip: Clip, frame: int) -> str:
    weight = clip.gaze.weight[frame]
    if not weight.sum():
        return ""
    x, y = (clip.gaze.xy[frame][weight > 0].mean(0)).tolist()
    return f" around the {_named(x, y)}"


def _named(x: float, y: float) -> str:
    """A place in the frame: one of nine parts."""
    row, column = (min(2, max(0, int(3 * value))) for value in (y, x))
    return "centre" if (row, column) == (1, 1) else f"{ROWS[row]} {COLUMNS[column]}"


def _asked(attention: ComparedAttention, clip: Clip, runs: Mapping[str, Run]) -> list[Asked]:
    made = []
    for task, question in attention.questions.items():
        answers = {arm: one for arm, run in runs.items() if (one := prediction_of(run, clip.clip_id, task)) is not None}
        if not answers:
            continue
        shown = [name for name in METRICS if any(name in one.scores for one in answers.values())]
        made.append(
            Asked(
                question,
                next(iter(answers.values())).target,
                tuple(SCORES[name].title for name in shown),
                tuple(
                    Answer(
                        arm,
                        one.prediction,
                        bool(exact_match(one.prediction, one.target)),
                        tuple(DASH if name not in one.scores else f"{one.scores[name]:z.2f}" for name in shown),
                    )
                    for arm, one in answers.items()
                ),
            )
        )
    return made


def prediction_of(run: Run, clip_id: str, task: str) -> Prediction | None:
    """Return what a run answered about a clip; None where it was not asked."""
    return next((one for one in run.predictions if (one.clip_id, one.task) == (clip_id, task)), None)
