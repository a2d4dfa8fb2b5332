"""Clips as a page shows them: frames with gaze, where each arm looked on one scale, what it answered."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.colors import Normalize

from gaze_vlm.comparison.runs import METRICS, Run
from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.gaze.overlay import jpeg, resized, with_density, with_points
from gaze_vlm.metrics.scores import DASH, SCORES
from gaze_vlm.metrics.texts import exact_match
from gaze_vlm.report.compared_attention import ComparedAttention
from gaze_vlm.report.html import data_url
from gaze_vlm.runs.prediction import Prediction

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
class QuestionView:
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
    asked: tuple[QuestionView, ...]


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


def _asked(attention: ComparedAttention, clip: Clip, runs: Mapping[str, Run]) -> list[QuestionView]:
    made = []
    for task, question in attention.questions.items():
        answers = {arm: one for arm, run in runs.items() if (one := prediction_of(run, clip.clip_id, task)) is not None}
        if not answers:
            continue
        shown = [name for name in METRICS if any(name in one.scores for one in answers.values())]
        made.append(
            QuestionView(
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
