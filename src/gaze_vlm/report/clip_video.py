"""A clip as a video: gaze and the attention of runs drawn in, with question, target and answers below."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import av
import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from matplotlib.colors import Normalize

from gaze_vlm.comparison.runs import Run, read_run
from gaze_vlm.errors import InputError
from gaze_vlm.formats.reencode import reencoder
from gaze_vlm.formats.video import Pixels, TimedFrame, frames_between
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.gaze.lettering import LETTER_PX, LINE_PX, text_image, wrapped
from gaze_vlm.gaze.overlay import POINT, one_scale, resized, with_density, with_points
from gaze_vlm.output import draft_of
from gaze_vlm.progress import track
from gaze_vlm.report.clip_views import prediction_of
from gaze_vlm.report.compared_attention import ComparedAttention, attention_of_runs

PANEL_PX = 384
TITLE_PX, BAR_PX = 30, 8
GREY = 0x50
Image = UInt8[np.ndarray, "height width 3"]


def write_clip_video(clip_id: str, runs: Sequence[Path], output: Path) -> None:
    """Write an mp4 of a test clip, with every frame of its video at the video's own times.

    Gaze and attention are those of the last sampled frame; before the first there are none.

    Raises:
        InputError: no run is named, the first has no attention, one was not tested, or the clip is not there.
    """
    if not runs:
        raise InputError("--runs names no run: give the run directories whose attention the video shows")
    named = names_of(runs)
    attention = attention_of_runs(
        {name: run.directory.path for name, run in named.items()}, next(iter(named)), [clip_id]
    )
    span, info = attention.spans[0], video_info(attention.spans[0].path)
    titles = ["gaze of the camera wearer", *(f"attention: {name}" for name in attention.of_arm)]
    width_px = PANEL_PX * len(titles)
    head = text_image(titles, width_px, TITLE_PX, columns=len(titles))
    lines = caption(attention, named, int(width_px / LETTER_PX))
    foot = text_image(lines, width_px, LINE_PX * len(lines))
    frames = frames_between(span.path, span.start_s, span.end_s)
    expected = round((span.end_s - span.start_s) * info.average_hz) + 1
    drawn = panels(attention, frames)
    first = next(drawn)
    height_px = first[2].shape[0] + head.shape[0] + foot.shape[0]
    shown = replace(info, width_px=width_px, height_px=height_px, start_pts=first[0])
    with draft_of(output) as draft, reencoder(draft, shown, min(width_px, height_px), 12, faststart=True) as write:
        for pts, t_s, image in track(chain([first], drawn), "frames", expected):
            whole = np.concatenate([head, image, foot])
            write(TimedFrame(pts, t_s, 0.0, av.VideoFrame.from_ndarray(whole, format="rgb24")))


def names_of(paths: Sequence[Path]) -> dict[str, Run]:
    """Read runs, each named by its arm, or by its directory too where several share it."""
    runs = [read_run(path) for path in paths]
    arms = Counter(run.arm for run in runs)
    return {run.arm if arms[run.arm] == 1 else f"{run.arm}, {run.directory}": run for run in runs}


def panels(
    attention: ComparedAttention, frames: Iterator[tuple[int, float, av.VideoFrame]]
) -> Iterator[tuple[int, float, Image]]:
    """Yield each frame's pts and time, and its panels side by side.

    Below them is a bar of how far the clip is.
    """
    clip, span = attention.clips[0], attention.spans[0]
    norm, pixels = attention_scale(attention), Pixels("rgb24")
    for pts, t_s, frame in frames:
        image = resized(rearrange(pixels(frame), "y x channel -> channel y x"), PANEL_PX)
        sampled = sum(pts >= one for one in span.pts) - 1
        if sampled < 0:
            row = [image] * (1 + len(attention.of_arm))
        else:
            row = [with_points(image, clip.gaze, sampled)]
            for one in attention.of_arm.values():
                map_ = with_density(image, one.attention_at(0, sampled), one.covered_view, norm)
                row.append(with_points(map_, clip.gaze, sampled, hollow=True))
        side_by_side = np.concatenate(row, axis=1)
        share = (t_s - span.start_s) / (span.end_s - span.start_s)
        marks = [time_s / clip.frame_times_s[-1] for time_s in clip.frame_times_s]
        yield pts, t_s, np.concatenate([side_by_side, bar(share, marks, side_by_side.shape[1])])


def attention_scale(attention: ComparedAttention) -> Normalize:
    """Return the one scale of a clip's attention in all its frames."""
    frames = range(len(attention.clips[0].frame_times_s))
    return one_scale(one.attention_at(0, frame) for one in attention.of_arm.values() for frame in frames)


def bar(share: float, marks: Sequence[float], width_px: int) -> Image:
    """Draw how far the clip is, with marks where its sampled frames are."""
    drawn = np.full((BAR_PX, width_px, 3), GREY, np.uint8)
    drawn[:, : round(share * width_px)] = POINT
    for mark in marks:
        middle = min(width_px - 2, round(mark * width_px))
        drawn[:, max(0, middle - 2) : middle + 2] = 255
    return drawn


def caption(attention: ComparedAttention, runs: Mapping[str, Run], letters: int) -> list[str]:
    """Return the lines below the panels: each question with its target and every run's answer."""
    made = []
    for task, question in attention.questions.items():
        answers = {name: prediction_of(run, attention.clips[0].clip_id, task) for name, run in runs.items()}
        given = {name: one for name, one in answers.items() if one is not None}
        for target in list(dict.fromkeys(one.target for one in given.values()))[:1]:
            made += wrapped(f"{question}  Target: {target}", letters)
        for name, one in given.items():
            made += wrapped(f"{name}: {one.prediction}", letters, "   ", "      ")
    return made
