"""The work on one video: sample frames, and carry the gaze before each of them to it."""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gaze_vlm.errors import InputError
from gaze_vlm.formats.decoder import WRITE_ANEW
from gaze_vlm.formats.video import TIME_TOLERANCE_S, Pixels, TimedFrame, timed_frames
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.gaze.occlusion import from_px, inside, to_px
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples
from gaze_vlm.gaze.transport import Transport, transport_by
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.video_gaze import NO_PTS, WORST_ERROR, FramePoints, VideoGaze


@dataclass
class SampledFrame:
    """One sampled frame: its time, the frame on screen then, and its gaze window's."""

    t_s: float
    target: TimedFrame
    shown: list[TimedFrame]  # ascending, `target` last; the first was on screen when the window began


@dataclass
class GreyFrames:
    """Grey pixels of the frames in use, reduced to the width that the flow works at."""

    pixels: Pixels
    kept: dict[int, UInt8[np.ndarray, "height width"]] = field(default_factory=dict)

    def __call__(self, frame: TimedFrame) -> UInt8[np.ndarray, "height width"]:
        """Return the grey pixels of a frame."""
        if frame.pts not in self.kept:
            assert frame.frame is not None  # no gaze is carried from or to a damaged frame
            self.kept[frame.pts] = self.pixels(frame.frame)
        return self.kept[frame.pts]

    def forget_before(self, pts: int) -> None:
        """Drop frames that no later window can show."""
        self.kept = {key: value for key, value in self.kept.items() if key >= pts}


def sample_frames(path: Path, frames: Iterable[TimedFrame], frame_hz: float, window_s: float) -> Iterator[SampledFrame]:
    """Sample a video's frames, which come in order, as from `timed_frames`.

    Sampled frame k is the one on screen at t = (k + 1) / frame_hz, the last that starts at or before t.

    The first sample thus ends the first interval, so that a clip of n frames covers exactly n / frame_hz
    seconds and every gaze window of up to that interval lies inside the video. The grid ends with the
    video, to a tick of its clock. `path` is for messages.

    Raises:
        InputError: the video does not start at 0, or is shorter than one interval.
    """
    count = 1
    shown: deque[TimedFrame] = deque()  # what the next window can show

    def sampled_until(limit_s: float) -> Iterator[SampledFrame]:
        nonlocal count
        while (t_s := count / frame_hz) <= limit_s:
            _drop_before(shown, t_s - window_s)
            yield SampledFrame(t_s, shown[-1], list(shown))
            count += 1

    for frame in frames:
        if not shown and frame.t_s > TIME_TOLERANCE_S:
            raise InputError(f"{path}: its first frame is at {frame.t_s:.2f} s, not 0; {WRITE_ANEW}")
        yield from sampled_until(frame.t_s - 2 * TIME_TOLERANCE_S)
        shown.append(frame)
        _drop_before(shown, count / frame_hz - window_s)
    end_s = shown[-1].t_s + shown[-1].duration_s if shown else 0.0
    yield from sampled_until(end_s + max(TIME_TOLERANCE_S, shown[-1].tick_s if shown else 0.0))
    if count == 1:
        raise InputError(f"{path}: {end_s:.2f} s long, shorter than the {1 / frame_hz:g} s between sampled frames")


def _drop_before(shown: deque[TimedFrame], t_s: float) -> None:
    """Drops frames that were off screen at `t_s`."""
    while len(shown) > 1 and shown[1].t_s <= t_s + TIME_TOLERANCE_S:
        shown.popleft()


def prepare_video(
    path: Path,
    gaze: GazeSamples,
    parameters: PreparationParameters,
    on_frame: Sequence[Callable[[TimedFrame], None]] = (),
    until_s: float = math.inf,
    timeout_s: float | None = None,
) -> VideoGaze:
    """Sample the frames of a video and carry gaze to each of them.

    The gaze of a frame is that of its window (t − window_s, t]. Every sample of a window is kept with its event; only
    those on a place in the frame are carried. A point that the flow carries out of the frame becomes `OUT_OF_FRAME`.
    Gaze that ends before the video leaves frames without points, and so does a window without samples. What was looked
    at in a damaged frame is untracked, and so is the whole window of a sampled frame that is damaged. The video is
    decoded once, from its start.

    Args:
        path: the video.
        gaze: its gaze.
        parameters: what to prepare.
        on_frame: called with every frame, in order.
        until_s: leave out what comes later in the video.
        timeout_s: seconds that the decoder may take for a frame; None waits for ever.

    Raises:
        InputError: the video cannot be decoded, or is shorter than one interval.
        TimeLimitError: a frame takes too long.
    """
    info = video_info(path, timeout_s)
    width = min(info.width_px, parameters.flow_max_width_px)
    height = round(info.height_px * width / info.width_px)
    grey = GreyFrames(Pixels("gray", width, height))
    transport = transport_by(parameters.flow_options, parameters.error_radius, parameters.frame_epsilon)
    seen = Counter[bool]()
    edges_s = [0.0]  # where each frame begins, and where the last one ends

    def frames() -> Iterator[TimedFrame]:
        for frame in timed_frames(path, timeout_s):
            if frame.t_s > until_s:
                return
            seen[frame.frame is None] += 1
            edges_s[-1:] = frame.t_s, frame.t_s + frame.duration_s
            for call in on_frame:
                call(frame)
            yield frame

    def rows() -> Iterator[FramePoints]:
        for sampled in sample_frames(path, frames(), parameters.frame_hz, parameters.window_s):
            grey.forget_before(sampled.shown[0].pts)
            window = gaze.window(sampled.t_s - parameters.window_s + TIME_TOLERANCE_S, sampled.t_s + TIME_TOLERANCE_S)
            yield carry_window(sampled, window, grey, transport)

    packed = VideoGaze.pack(rows(), info.duration_s, gaze)
    longest = int(np.argmax(np.diff(edges_s)))
    counts = replace(
        packed.counts,
        video_frames=seen.total(),
        damaged_frames=seen[True],
        longest_frame_s=(edges_s[longest], edges_s[longest + 1]),
    )
    return replace(packed, counts=counts)


def carry_window(sampled: SampledFrame, gaze: GazeSamples, grey: GreyFrames, transport: Transport) -> FramePoints:
    """Carry the gaze of one window to the sampled frame.

    All points of an earlier frame are carried together.
    """
    starts = np.array([frame.t_s for frame in sampled.shown])
    intact = np.array([frame.frame is not None for frame in sampled.shown])
    shown = np.maximum(np.searchsorted(starts, gaze.t_s + TIME_TOLERANCE_S, side="right") - 1, 0)
    gaze = gaze.untracked_where(~(intact[shown] & intact[-1]))
    count = len(gaze)
    raw, xy, event = gaze.xy, gaze.xy.copy(), gaze.event.copy()
    error, share = np.zeros(count), np.zeros(count)
    carried = 0
    for index in np.unique(shown[gaze.tracked]):
        source = sampled.shown[index]
        if source.pts == sampled.target.pts:
            continue  # looked at in the sampled frame itself
        target = grey(sampled.target)
        height, width = target.shape
        points = np.flatnonzero((shown == index) & gaze.tracked)
        carried += len(points)
        moved = transport(grey(source), target, to_px(raw[points], width, height))
        xy[points] = from_px(moved.points_px, width, height)
        error[points], share[points] = moved.error, moved.occluded_share
        left = ~inside(moved.points_px, width, height)
        event[points[left]] = GazeEvent.OUT_OF_FRAME
        # A point may stay while most of the disc around it leaves: that is the largest error of a point in the frame.
        error[points[~left]] = np.minimum(error[points[~left]], WORST_ERROR)
    return FramePoints(
        t_s=sampled.t_s,
        pts=sampled.target.pts if intact[-1] else NO_PTS,
        xy=xy,
        raw_xy=raw,
        age_s=np.maximum(sampled.t_s - gaze.t_s, 0),
        event=event,
        error=error,
        occluded_share=share,
        carried=carried,
    )
