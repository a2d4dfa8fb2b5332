"""A video with what a model said of it: beside each frame where the model attended, and the answers below."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path

import av
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.errors import InputError
from gaze_vlm.formats.reencode import reencoder
from gaze_vlm.formats.video import TIME_TOLERANCE_S, Pixels, TimedFrame, frames_between
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.lettering import LETTER_PX, LINE_PX, one_line, text_image, wrapped
from gaze_vlm.gaze.overlay import coloured, laid_on, one_scale, resized
from gaze_vlm.gaze.view import View
from gaze_vlm.inference.caption_file import Caption
from gaze_vlm.inference.clips import clip_of_frames, on_device_of
from gaze_vlm.inference.subtitles import Cue, cues, label
from gaze_vlm.inference.videos import PlannedVideo
from gaze_vlm.inference.windows import WindowTimes, read_windows
from gaze_vlm.output import draft_of, drafts_of, remove, writing
from gaze_vlm.progress import track

PANEL_PX, TITLE_PX = 384, 30
LETTERS = int(PANEL_PX / LETTER_PX)
MOST_PX = 16384  # of either side, as x264 takes
SOURCES = {"block": "gaze block", "vision": "vision tower", "language": "language model"}
Image = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class OverlayScene:
    """What is drawn from one cue's start to its end.

    Args:
        cue: answers and times, in seconds from the start of the video's stream.
        sampled_s: times of the sampled frames that are nearest to one of its frames.
        maps: the attention to each of them, as a multiple of the uniform one.
    """

    cue: Cue
    sampled_s: Float[np.ndarray, " frame"]
    maps: Float[np.ndarray, "frame panel row column"]

    def nearest(self, t_s: float) -> int:
        """Return which of the sampled frames is nearest to a time."""
        return int(np.abs(self.sampled_s - t_s).argmin())


def write_overlay(
    video: PlannedVideo,
    captions: Sequence[Caption],
    backbone: Backbone,
    times: WindowTimes,
    output: Path,
    timeout_s: float | None = None,
) -> None:
    """Write an mp4 of a video: each frame, beside it the attention to the sampled frame nearest to it, answers below.

    Frames are there at their times as played; the first is shown from 0, also where the video starts later. What a
    killed process left half written is deleted. The attention is that of the model's source while it answers; of one
    that looks at answers there is a panel a question. One scale serves the whole video.

    Args:
        video: the video.
        captions: its lines.
        backbone: that wrote them; without a source its language model's attention is taken, from all layers.
        times: of the windows.
        output: the mp4.
        timeout_s: seconds that the decoder may take for a window; None waits for ever.

    Raises:
        InputError: the video cannot be read, or the picture would be larger than H.264 takes.
        OutputError: the file system refused.
    """
    for draft in drafts_of(output):
        remove(draft)
    if backbone.source is None:
        backbone.capture_tower("language")
    assert backbone.source is not None
    asked = list({one.prompt: one for one in captions}.values())
    asked = asked if backbone.source.looks_at_answers else asked[:1]
    width_px = PANEL_PX * (1 + len(asked))
    picture_px = 2 * round(video.info.height_px * PANEL_PX / video.info.width_px / 2)
    _check_size(video, width_px, TITLE_PX + picture_px + LINE_PX)
    scenes = list(read_scenes(video, captions, len(asked), backbone, times, timeout_s))
    titles = [f"attention ({SOURCES[backbone.source.name]})"]
    if len(asked) > 1:
        titles = [f"{titles[0]}, {label(one.task, one.prompt).rstrip(':')}" for one in asked]
    panels = [one_line(title, LETTERS) for title in (video.name, *titles)]
    head = text_image(panels, width_px, TITLE_PX, columns=len(panels))
    frames = with_texts(head, scenes, drawn(video, scenes, len(titles), backbone.covered_view))
    first = next(frames)
    _check_size(video, width_px, first[1].shape[0])  # with the texts, which are known now
    info = as_played(replace(video.info, width_px=width_px, height_px=first[1].shape[0]))
    at_0 = [(replace(first[0], pts=info.start_pts), first[1])] if first[0].pts > info.start_pts else []
    expected = round(info.duration_s * info.average_hz) + len(at_0)
    with (
        draft_of(output) as draft,
        writing(output),
        reencoder(draft, info, min(info.width_px, info.height_px), 12, faststart=True) as write,
    ):
        for timed, image in track(chain(at_0, [first], frames), f"overlay of {video.name}", expected):
            write(replace(timed, frame=av.VideoFrame.from_ndarray(image, format="rgb24")))


def as_played(info: VideoInfo) -> VideoInfo:
    """Move a video's t = 0 to the start of the file, from where players count."""
    return replace(info, start_pts=info.start_pts - round(info.offset_s / info.time_base), offset_s=0.0)


def _check_size(video: PlannedVideo, width_px: int, height_px: int) -> None:
    if max(width_px, height_px) > MOST_PX:
        raise InputError(
            f"{video.path}: its overlay would be {width_px}×{height_px} px, and H.264 takes {MOST_PX} at most: ask "
            "fewer questions at once, or leave out --overlay"
        )


@torch.no_grad()
def read_scenes(
    video: PlannedVideo,
    captions: Sequence[Caption],
    asked: int,
    backbone: Backbone,
    times: WindowTimes,
    timeout_s: float | None,
) -> Iterator[OverlayScene]:
    """Compute the attention of each window that has captions, to its first `asked` prompts and their answers."""
    collator = backbone.collator()
    on_grid = "sample group (row column) -> group sample row column"
    answered = {end_s: list(of) for end_s, of in groupby(captions, key=lambda one: one.end_s)}
    ends_s = [end_s for end_s in video.ends_s if video.as_played(end_s) in answered]
    windows = read_windows(video.path, times, ends_s, timeout_s)
    for cue, window in track(zip(cues(captions), windows, strict=True), f"attention to {video.name}", len(ends_s)):
        assert window.frames is not None
        clips = [
            replace(
                clip_of_frames(window.frames, window.frame_times_s, one.prompt),
                target=collator.special_tokens.sub(" ", one.answer),
            )
            for one in answered[video.as_played(window.end_s)][:asked]
        ]
        attention = backbone(on_device_of(backbone, collator(clips))).attention
        mass = rearrange(attention.head_mean().exp().float().cpu().numpy(), on_grid, row=collator.grid.rows)
        in_stream = replace(cue, start_s=cue.start_s - video.info.offset_s, end_s=cue.end_s - video.info.offset_s)
        sampled_s = window.start_s + np.array(window.frame_times_s)
        near = sampled_s > in_stream.start_s - 1 / times.frame_hz
        groups = np.arange(len(sampled_s))[near] // collator.frames_per_group
        yield OverlayScene(in_stream, sampled_s[near], mass[groups] * len(collator.grid))


def drawn(
    video: PlannedVideo, scenes: Sequence[OverlayScene], maps: int, covered: View
) -> Iterator[tuple[TimedFrame, OverlayScene | None, Image]]:
    """Yield each frame of a video, its scene, and its picture beside itself with each of the maps drawn on."""
    pixels = Pixels("rgb24", video.info.width_px, video.info.height_px)
    norm = one_scale(map_ for scene in scenes for of_frame in scene.maps for map_ in of_frame)
    left, layers = deque(scenes), []
    shown: tuple[int, int] | None = None  # the scene and the sampled frame that the layers are of
    for pts, t_s, frame in frames_between(video.path, 0.0, math.inf):
        while len(left) > 1 and t_s >= left[1].cue.start_s - TIME_TOLERANCE_S:
            left.popleft()
        is_in = left[0].cue.start_s - TIME_TOLERANCE_S <= t_s <= left[0].cue.end_s + TIME_TOLERANCE_S
        scene = left[0] if is_in else None
        image = resized(rearrange(pixels(frame), "y x channel -> channel y x"), PANEL_PX)
        row = [image] * (1 + maps)
        if scene is not None:
            if shown != (shown := (len(left), scene.nearest(t_s))):
                layers = [coloured(map_, covered, norm, *image.shape[:2]) for map_ in scene.maps[shown[1]]]
            row[1:] = [laid_on(image, layer) for layer in layers]
        yield TimedFrame(pts, t_s, 0.0, None), scene, np.concatenate(row, axis=1)


def with_texts(
    head: Image, scenes: Sequence[OverlayScene], frames: Iterator[tuple[TimedFrame, OverlayScene | None, Image]]
) -> Iterator[tuple[TimedFrame, Image]]:
    """Put a head above frames, and below them the answers of the scene that each is in."""
    width_px = head.shape[1]
    texts = {
        id(scene): [part for line in scene.cue.text.splitlines() for part in wrapped(line, int(width_px / LETTER_PX))]
        for scene in scenes
    }
    height_px = LINE_PX * max(1, *map(len, texts.values()))
    shown, foot = None, text_image([], width_px, height_px)
    for timed, scene, image in frames:
        if scene is not shown:
            shown = scene
            lines = [] if scene is None else texts[id(scene)]
            foot = text_image(lines + [""] * (height_px // LINE_PX - len(lines)), width_px, height_px)
        yield timed, np.concatenate([head, image, foot])
